"""Is this person in the gallery at all, and who? Search with queries some of whom nobody there has seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.evaluate import nothing_to_score
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.ranking.ranked import ranks_of
from reid.evaluation.tiles import JUNK, MATCH, Grid, score_tiles

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SearchPoint:
    """Open-set search at one threshold and rank: the share of searches that end so."""

    threshold: float
    rank: int
    tpir: float
    fpir: float


@dataclass(frozen=True, eq=False)
class OpenSet:
    """What every search of an open set came to; rates follow at any threshold and rank.

    Attributes:
        mated: [M] int64, the queries whose identity is in the gallery.
        scores: [M] float64, the score of each one's best match; ``tiles`` defines a score.
        ranks: [M] int64, the rank of its first match, exactly as by ``evaluate``.
        impostors: [N] int64, the queries whose identity is not.
        impostor_scores: [N] float64, the score of each one's best image, -inf where all are ignored.
        fpirs: the false positive identification rates to report.
        reported_ranks: the ranks to report.
        stamp: the protocol, the distance and how many identities were held out.
    """

    mated: Ints
    scores: Floats
    ranks: Ints
    impostors: Ints
    impostor_scores: Floats
    fpirs: tuple[float, ...]
    reported_ranks: tuple[int, ...]
    stamp: str

    def at(self, threshold: float, rank: int = 1) -> SearchPoint:
        """Raise an alarm for images of ``threshold`` or more among the first ``rank``.

        Raises:
            UserError: ``rank`` is below 1 or ``threshold`` is NaN.
        """
        if rank < 1 or np.isnan(threshold):
            raise UserError(f"threshold={threshold} and rank={rank}: give a number, and a rank of 1 or more")
        found = np.count_nonzero((self.scores >= threshold) & (self.ranks <= rank))
        alarms = np.count_nonzero((self.impostor_scores >= threshold) & (self.impostor_scores > -np.inf))
        return SearchPoint(float(threshold), rank, found / len(self.scores), alarms / len(self.impostors))

    def at_fpir(self, fpir: float, rank: int = 1) -> SearchPoint:
        """The point of the lowest threshold with that FPIR or less, of the scores that occur and one just beyond.

        Impostors that tie raise all their alarms or none, so the FPIR reached may be lower. With fewer than 1 / fpir
        impostors it is 0: the threshold lies above every impostor. ``str`` says so.

        Raises:
            UserError: ``fpir`` is not in [0, 1), or ``rank`` is below 1.
        """
        _check_rates("fpir", [fpir])
        alarms = np.sort(self.impostor_scores)
        scores = np.unique(np.concatenate([self.scores, alarms[alarms > -np.inf]]))
        scores = np.append(scores, np.nextafter(scores[-1], np.inf))
        above = len(alarms) - np.searchsorted(alarms, scores)
        return self.at(float(scores[np.argmax(above / len(alarms) <= fpir)]), rank)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "points": [
                {"at_fpir": fpir, **vars(self.at_fpir(fpir, rank))}
                for fpir in self.fpirs
                for rank in self.reported_ranks
            ],
            "mated": len(self.mated),
            "impostors": len(self.impostors),
            "protocol": self.stamp,
        }

    def __str__(self) -> str:
        """A small table, the protocol beneath; what the impostors are too few for is said."""
        lines = [f"{'at FPIR':>8} {'rank':>6} {'FPIR':>9} {'TPIR':>8} {'threshold':>12}"]
        for point in self.to_dict()["points"]:
            asked = point["at_fpir"]
            note = f"  fewer than {1 / asked:,.0f} impostors" if 0 < asked * len(self.impostors) < 1 else ""
            lines.append(
                f"{asked:>8g} {point['rank']:>6} {point['fpir']:>9.3g} {point['tpir']:>8.2%} "
                f"{point['threshold']:>12.6g}{note}"
            )
        counts = f"{len(self.mated)} mated queries, {len(self.impostors)} impostors"
        return "\n".join((*lines, counts, self.stamp))


def open_set(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    absent_pids: Any = (),
    fpirs: Sequence[float] = (1e-1, 1e-2),
    ranks: Sequence[int] = (1,),
) -> OpenSet:
    """Search for people of whom some are not there: how many are found while few strangers raise an alarm.

    A query with a match under the protocol is mated, one without is an impostor (its identity is not in the gallery, or
    only in images that the protocol ignores). At a threshold t and rank k, with junk left out,

        FPIR(t)    = the share of impostors whose best gallery image scores t or more
        TPIR(t, k) = the share of mated queries with a match that scores t or more among their first k images

    These are the false alarm rate and the detection and identification rate of Phillips, Grother and Micheals,
    Evaluation Methods in Face Recognition, in Handbook of Face Recognition, 2nd ed., 2011, and FPIR(N, T) and
    1 - FNIR(N, R, T) of NIST's FRVT part 2 (Grother, Ngan and Hanaoka, NISTIR 8271) and of ISO/IEC 19795-1. Of an
    identity's several images any one suffices, and ranks count images, as in CMC: without a threshold TPIR is rank-k.
    Both rates hang on the gallery's size; compare on equal galleries.

    Most sets have few impostors or none. ``absent_pids`` makes them: every query of these identities becomes one.

    Args:
        query_features: as for ``evaluate``, and so are the next seven.
        absent_pids: identities to hold out: their gallery images are ignored for every query, as if removed.
        fpirs: the false positive identification rates to report, each in [0, 1).
        ranks: the ranks to report, each 1 or more.

    Raises:
        UserError: no query is an impostor, or all are; an identity held out is nowhere; ``fpirs`` or ``ranks`` are out
            of range; an argument is wrong as for ``evaluate``.

    >>> query, gallery = [[1.0, 0], [0, 1], [3, 4]], [[1.0, 0], [4, 3], [0, 1]]
    >>> print(open_set(query, gallery, query_pids=[1, 2, 3], gallery_pids=[1, 1, 2], protocol="no_camera"))
     at FPIR   rank      FPIR     TPIR    threshold
         0.1      1         0  100.00%            1  fewer than 10 impostors
        0.01      1         0  100.00%            1  fewer than 100 impostors
    2 mated queries, 1 impostors
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        protocol=protocol,
        distance=distance,
    )
    _check_rates("fpirs", fpirs)
    if any(rank < 1 for rank in ranks):
        raise UserError(f"ranks={list(ranks)} must each be 1 or more")
    stamp = inputs.protocol.stamp
    held_out = np.unique(np.asarray(absent_pids))
    if held_out.size:
        inputs = _hold_out(inputs, held_out)
        stamp += f", {len(held_out)} identities held out of the gallery"
    first_ranks = np.array([r[0] if len(r) else 0 for r in ranks_of(inputs)[0]])
    mated, impostors = np.flatnonzero(first_ranks), np.flatnonzero(first_ranks == 0)
    if not mated.size and held_out.size:
        raise UserError(f"absent_pids leave no query a match ({len(held_out)} identities held out); hold out fewer")
    if not mated.size:
        raise UserError(nothing_to_score(inputs))
    if not impostors.size:
        raise UserError(
            f"each of the {len(mated)} queries has a match, so there are no impostors to keep out; hold identities out "
            "of the gallery, say absent_pids=numpy.unique(query_pids)[::2]"
        )
    best = _best_scores(inputs, first_ranks > 0)
    return OpenSet(
        mated, best[mated], first_ranks[mated], impostors, best[impostors], tuple(fpirs), tuple(ranks), stamp
    )


def _hold_out(inputs: Inputs, pids: Ints) -> Inputs:
    """Gallery images of ``pids`` made junk: ignored for all, and no copy of the features."""
    unknown = np.setdiff1d(pids, np.concatenate([inputs.query_pids, inputs.gallery_pids]))
    if pids.dtype.kind not in "iu" or unknown.size:
        raise UserError(
            f"absent_pids: {', '.join(map(str, unknown[:3])) or pids.dtype} names no identity of the query or gallery; "
            "give some of query_pids"
        )
    junk_pids = inputs.protocol.junk_pids | frozenset(pids.tolist())
    return replace(inputs, protocol=replace(inputs.protocol, junk_pids=junk_pids))


def _best_scores(inputs: Inputs, mated: NDArray[np.bool_]) -> Floats:
    """[Q] float64: the best match of a mated query, the best of all images of another; -inf where there is none."""
    grid = Grid(inputs)
    best = np.full(len(mated), -1)
    for queries, steps, kinds in score_tiles(inputs, grid):
        counts = np.where(mated[queries, None], kinds == MATCH, kinds != JUNK)
        np.maximum(best[queries], steps.max(axis=1, where=counts, initial=-1), out=best[queries])
    return np.where(best < 0, -np.inf, grid.scores(best))


def _check_rates(name: str, rates: Iterable[float]) -> None:
    if not all(0 <= rate < 1 for rate in rates):
        raise UserError(f"{name}={rates} must be 0 or more and below 1; 0.01 lets one impostor in a hundred through")
