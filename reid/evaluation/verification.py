"""Are these two images the same person? Match pairs against non-match pairs at a threshold."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.inputs import check_inputs
from reid.evaluation.protocol import Ints, Protocol
from reid.evaluation.tiles import count_pairs

Floats = NDArray[np.float64]


class Roc(NamedTuple):
    """Operating points from the strictest to the loosest; three float64 arrays of one length."""

    fpr: Floats
    tpr: Floats
    thresholds: Floats


@dataclass(frozen=True)
class OperatingPoint:
    """What happens when pairs that score ``threshold`` or more are called the same person."""

    threshold: float
    true_positives: int
    false_positives: int
    matches: int
    nonmatches: int

    @property
    def tpr(self) -> float:
        """Share of the match pairs that are accepted: 1 - FNMR in the terms of ISO/IEC 19795-1."""
        return self.true_positives / self.matches

    @property
    def fpr(self) -> float:
        """Share of the non-match pairs that are accepted: FMR."""
        return self.false_positives / self.nonmatches

    @property
    def precision(self) -> float:
        """Share of the accepted pairs that match, NaN where none is accepted; it hangs on how rare matches are."""
        accepted = self.true_positives + self.false_positives
        return self.true_positives / accepted if accepted else np.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and TPR: 2 TP / (accepted + matches)."""
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.matches)

    def to_dict(self) -> dict[str, float | int | None]:
        """For JSON; the precision is None where nothing is accepted."""
        precision = None if np.isnan(self.precision) else self.precision
        return {"tpr": self.tpr, "fpr": self.fpr, "precision": precision, "f1": self.f1, **vars(self)}


@dataclass(frozen=True, eq=False)
class Verification:
    """Match and non-match pairs by their scores; everything else follows, exactly, at any threshold.

    Attributes:
        thresholds: [C + 1] float64, ascending: every score that occurs, defined in ``tiles``, and one beyond them all.
        true_positives: [C + 1] int64, the match pairs with that score or more, from all of them down to none.
        false_positives: [C + 1] int64, the non-match pairs likewise.
        fprs: the false positive rates to report.
        stamp: the protocol and distance.
    """

    thresholds: Floats
    true_positives: Ints
    false_positives: Ints
    fprs: tuple[float, ...]
    stamp: str

    @property
    def matches(self) -> int:
        """Number of match pairs."""
        return int(self.true_positives[0])

    @property
    def nonmatches(self) -> int:
        """Number of non-match pairs."""
        return int(self.false_positives[0])

    def at(self, threshold: float) -> OperatingPoint:
        """Accept the pairs that score ``threshold`` or more.

        Raises:
            UserError: ``threshold`` is NaN.
        """
        if np.isnan(threshold):
            raise UserError("threshold=nan accepts nothing and refuses nothing; give a number")
        i = min(int(np.searchsorted(self.thresholds, threshold)), len(self.thresholds) - 1)
        accepted = int(self.true_positives[i]), int(self.false_positives[i])
        return OperatingPoint(float(threshold), *accepted, self.matches, self.nonmatches)

    def at_fpr(self, fpr: float) -> OperatingPoint:
        """The lowest of ``thresholds`` whose FPR is ``fpr`` or less: an order statistic of the scores.

        Of non-match pairs that tie all or none are accepted, so the FPR reached may be lower. With fewer than 1 / fpr
        non-match pairs it is 0: the threshold lies above every non-match. ``str`` says so.

        Raises:
            UserError: ``fpr`` is not in [0, 1).
        """
        if not 0 <= fpr < 1:
            raise UserError(f"fpr={fpr} must be 0 or more and below 1; 1e-3 accepts one non-match in a thousand")
        return self.at(float(self.thresholds[self._strict_enough(fpr)]))

    @property
    def auc(self) -> float:
        """Area under the ROC curve: how likely a match pair outscores a non-match pair, ties counting half.

        The Mann-Whitney statistic over all pairs of pairs (Hanley and McNeil, Radiology 1982), in whole numbers.
        """
        tp, fp = self.true_positives, self.false_positives
        wins = np.sum(-np.diff(tp) * (2 * self.nonmatches - fp[:-1] - fp[1:]))  # twice those below, once the equal
        return int(wins) / (2 * self.matches * self.nonmatches)

    @property
    def eer(self) -> float:
        """Equal error rate: where the ROC curve, points joined by straight lines, has FPR = 1 - TPR."""
        i, excess = self._crossing()
        share = int(excess[0]) / int(excess[0] - excess[1])
        loose, strict = self.false_positives[i - 1 : i + 1]
        return float(loose + share * (strict - loose)) / self.nonmatches

    @property
    def eer_threshold(self) -> float:
        """The lowest of ``thresholds`` with FPR <= 1 - TPR."""
        return float(self.thresholds[self._crossing()[0]])

    def roc(self, points: int = 200) -> Roc:
        """About ``points`` operating points to draw, from (0, 0) to (1, 1); no point is interpolated.

        Half are spread evenly over log FPR and half over TPR; those at ``fprs`` and the EER's are always among them.

        Raises:
            UserError: ``points`` is below 2.
        """
        if points < 2:
            raise UserError(f"points={points} must be 2 or more to draw a curve; 200 are plenty")
        tpr, fpr = self.true_positives / self.matches, self.false_positives / self.nonmatches
        rates = *np.geomspace(1 / self.nonmatches, 1, points // 2), *self.fprs
        loosest = [self._strict_enough(rate) for rate in rates]
        strictest = len(tpr) - 1 - np.searchsorted(tpr[::-1], np.linspace(0, 1, points // 2))
        kept = np.unique([0, len(tpr) - 1, self._crossing()[0], *loosest, *strictest])[::-1]
        return Roc(fpr[kept], tpr[kept], self.thresholds[kept])

    def _strict_enough(self, fpr: float) -> int:
        """The first index whose FPR is ``fpr`` or less; as float64 quotients, so that 29 of 100 are 0.29."""
        fp, nonmatches = self.false_positives, self.nonmatches
        return bisect_left(range(len(fp)), True, key=lambda i: bool(fp[i] / nonmatches <= fpr))

    def _crossing(self) -> tuple[int, Ints]:
        """The first index with FPR <= 1 - TPR; FPR - (1 - TPR) before and there, times all matches and non-matches."""
        tp, fp = self.true_positives, self.false_positives
        excess = fp * self.matches - (self.matches - tp) * self.nonmatches
        i = int(np.argmax(excess <= 0))
        return i, excess[i - 1 : i + 1]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "auc": self.auc,
            "eer": self.eer,
            "eer_threshold": self.eer_threshold,
            "at_fpr": {f"{fpr:g}": self.at_fpr(fpr).to_dict() for fpr in self.fprs},
            "matches": self.matches,
            "nonmatches": self.nonmatches,
            "protocol": self.stamp,
        }

    def __str__(self) -> str:
        """A small table, the protocol beneath; what the pairs are too few for is said."""
        lines = [f"{'at FPR':>8} {'FPR':>9} {'TPR':>8} {'threshold':>12}"]
        for fpr in self.fprs:
            point = self.at_fpr(fpr)
            few = fpr * self.nonmatches < 1
            note = f"  fewer than {1 / fpr:,.0f} non-match pairs" if few and fpr else ""
            lines.append(f"{fpr:>8g} {point.fpr:>9.3g} {point.tpr:>8.2%} {point.threshold:>12.6g}{note}")
        lines.append(f"AUC {self.auc:.4%}, EER {self.eer:.2%} at {self.eer_threshold:.6g}")
        return "\n".join((*lines, f"{self.matches:,} match and {self.nonmatches:,} non-match pairs", self.stamp))


def verify(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any = None,
    gallery_camids: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    fprs: Sequence[float] = (1e-2, 1e-3, 1e-4),
) -> Verification:
    """Tell match pairs from non-match pairs by their score, over all query x gallery pairs the protocol keeps.

    Distractors are non-matches, junk pairs count for nothing. All pairs of all queries share one threshold, as in
    verification of faces (TPR at FPR as in Klare et al., Pushing the Frontiers of Unconstrained Face Detection and
    Recognition, CVPR 2015; terms as in ISO/IEC 19795-1), so scores must be comparable between queries: a model may
    rank well and verify badly. Pairs are streamed: no more is held than counts of 2^21 scores.

    Args:
        query_features: as for ``evaluate``, and so are the others.
        fprs: the false positive rates to report, each in [0, 1).

    Raises:
        UserError: no pair matches, or every pair does; ``fprs`` are out of range; an argument is wrong as for
            ``evaluate``.

    >>> gallery = [[1.0, 0], [4, 3], [3, 4], [0, 1]]
    >>> labels = dict(query_pids=[1], gallery_pids=[1, 2, 1, 2], protocol="no_camera")
    >>> print(verify([[1.0, 0.0]], gallery, **labels, fprs=[0.5]))
      at FPR       FPR      TPR    threshold
         0.5       0.5  100.00%          0.6
    AUC 75.0000%, EER 50.00% at 0.8
    2 match and 2 non-match pairs
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
    if not all(0 <= fpr < 1 for fpr in fprs):
        raise UserError(f"fprs={list(fprs)} must each be 0 or more and below 1")
    counts = count_pairs(inputs)
    thresholds = np.append(counts.scores, counts.scores[-1] + counts.step)
    accepted = [np.append(np.cumsum(kind[::-1])[::-1], 0) for kind in (counts.matches, counts.nonmatches)]
    return Verification(thresholds, accepted[0], accepted[1], tuple(fprs), inputs.protocol.stamp)
