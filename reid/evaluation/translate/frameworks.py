"""What each well-known framework reports of the same features, and why it is not what ours reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reid.errors import UserError
from reid.evaluation.evaluate import evaluate_inputs
from reid.evaluation.gallery import Gallery
from reid.evaluation.inputs import Inputs, check_inputs
from reid.evaluation.labels import Ints
from reid.evaluation.metrics import average_precision
from reid.evaluation.protocol import Protocol
from reid.evaluation.ranking.ranked import ranks_of
from reid.evaluation.reranking.points import Floats32
from reid.evaluation.reranking.rerank import Rerank, reranked_match_ranks
from reid.evaluation.translate import centroids, reranking
from reid.evaluation.translate.definitions import at_r, before_all_others, mean_over_hits
from reid.evaluation.translate.reranking import Variant
from reid.evaluation.translate.table import Row, Translation

_AS_GIVEN = Protocol("as given", junk_pids=frozenset(), ignore_same_camera=False, distance="euclidean")
_ROWS = 1024  # read at a time
_LAYUMI = "layumi/Person_reID_baseline_pytorch"


def translate(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any,
    gallery_camids: Any,
    query_flipped: Any = None,
    gallery_flipped: Any = None,
    protocol: str | Protocol = "market1501",
    rerank: bool = True,
) -> Translation:
    """Say what each well-known framework would report of these features, in its default settings.

    Only the evaluation is translated: each framework also trains, resizes and normalises in its own way. The others
    know junk and distractors from their readers of the data set; here they are those of ``protocol``. All of them leave
    a tie to an unstable sort, here it goes to the lower gallery index, and none shows it in the numbers otherwise.

    Ranks by cosine and by Euclid come from ``evaluate``: no more than blocks of queries are in memory, and a copy of
    the features where flipped ones are given. Re-ranked rows find neighbours four times: at Market-1501's size, nearly
    all of the time goes there.

    Args:
        query_features: [Q, D], as for ``evaluate``, not normalised: two of the rows hang on lengths.
        gallery_features: [G, D], likewise.
        query_pids: [Q] integers; and so are the other labels. Camera ids are needed.
        query_flipped: [Q, D] features of the mirrored images; without them the rows that need them say so.
        gallery_flipped: [G, D], likewise.
        protocol: of our own row; the others take its junk and distractor ids, and ignore the query's own camera.
        rerank: whether to add the re-ranked rows.

    Raises:
        UserError: an argument is wrong as for ``evaluate``, or flipped features are of another shape or given for one
            of query and gallery only.

    >>> labels = dict(query_pids=[1, 2], gallery_pids=[1, 3, 1, 1], query_camids=[1, 1], gallery_camids=[2, 2, 3, 1])
    >>> table = translate([[1.0, 0]] * 2, [[4.0, 1], [4, 2], [4, 3], [1, 0]], **labels, rerank=False)
    >>> print(round(table["ours"].mAP, 3), table["layumi/Person_reID_baseline_pytorch"].to_dict())  # doctest: +ELLIPSIS
    0.833 {'framework': 'layumi/...', 'called': 'mAP, Rank@1', 'mAP': 0.395..., 'rank-1': 0.5, 'reason': 'trapezoid AP, ...
    """  # noqa: E501
    if query_camids is None or gallery_camids is None:
        raise UserError("a translation needs query_camids and gallery_camids under every protocol; give both")
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        protocol=protocol,
    )
    own = inputs.protocol
    if own.trials or own.gallery_unit == "track":
        raise UserError(f"protocol {own.name} has no translation; choose one that ranks all images, say 'market1501'")
    flipped = _with_flipped(inputs, query_flipped, gallery_flipped)
    theirs = replace(inputs, protocol=Protocol("theirs", own.junk_pids, own.distractor_pids))
    rows = list(_plain_rows(inputs, theirs, flipped))
    if rerank:
        rows += _reranked_rows(inputs, theirs, flipped)
    return Translation(tuple(rows), own.stamp)


def _plain_rows(ours: Inputs, theirs: Inputs, flipped: Inputs | None) -> Iterator[Row]:
    result = evaluate_inputs(ours)
    yield Row("ours", "mAP, rank-1", result.mAP, result.rank(1), "the definition", "tested against a brute force")
    cosine = _ranks(theirs)

    reason = "trapezoid AP, queries without a match count as zero, "
    reason += "flip added" if flipped else "WITHOUT its flip: not given"
    ranks = cosine if flipped is None else _ranks(replace(flipped, protocol=theirs.protocol))
    yield _row(_LAYUMI, "mAP, Rank@1", ranks, reason, _code("82ff40f"), _trapezoid, left_out=False)

    euclid = _ranks(_by_euclid(theirs))
    reason = "squared Euclid of features that are not normalised (dist_metric='euclidean')"
    yield _row("torchreid", "mAP, Rank-1", euclid, reason, _code("f8cd150"))
    reason = "none: cosine, unmatched queries left out, no flip; CMC to rank 50"
    yield _row("fast-reid", "mAP, Rank-1", cosine, reason, _code("c9bc3ce"))
    reason = "none: Euclid of normalised features orders as cosine, unmatched queries left out; CMC to rank 50"
    yield _row("reid-strong-baseline", "mAP, Rank-1", cosine, reason, _code("3da7e6f"))
    reason = "squared Euclid of features that are not normalised"
    yield _row("open-reid", "Mean AP, market1501 top-1", euclid, reason, _code("3293ca7"))
    share = "as open-reid; top-1 is the share of matches before every other image: its validation score"
    yield _row("open-reid, allshots", "Mean AP, allshots top-1", euclid, share, _code("3293ca7"), top=before_all_others)
    reason = "as open-reid; its average_precision_score was the trapezoid rule then"
    name, checked = "open-reid, scikit-learn before 0.19", "by reading, commit 3293ca7"
    yield _row(name, "Mean AP, market1501 top-1", euclid, reason, checked, _trapezoid)

    given = _ranks(replace(theirs, protocol=_AS_GIVEN))
    reason = "divided by the hits in the top 5, no hit is 0; no camera rule, junk stays, Euclid of raw features"
    checked = _code("6be182e")
    yield _row("open-metric-learning", "map@5, cmc@1", given, reason, checked, _of_five, left_out=False)
    reason, pml = "no camera rule, junk stays; Euclid of features that are not normalised", "pytorch-metric-learning"
    yield _row(pml, "mean_average_precision, precision_at_1", given, reason, _code("216a792"))
    reason = "likewise, and only hits among the first R count, R the number of matches"
    name = f"{pml}, MAP@R"
    yield _row(name, "mean_average_precision_at_r, precision_at_1", given, reason, _code("216a792"), at_r)

    clean, pooled = _without_junk(theirs), "test labels pool the gallery: a centroid an identity and query camera"
    reason, ranks = f"{pooled}; distractors vanish", centroids.match_ranks(clean, as_meant=True)
    yield _row("centroids-reid, as meant", "mAP, Top-1", ranks, reason, f"{_code('a1825b7')}, its index mended")
    reason = "as meant, but gallery image j gets the camera at place j of query and gallery together: a slip"
    ranks = centroids.match_ranks(clean, as_meant=False)
    yield _row("centroids-reid", "mAP, Top-1", ranks, reason, _code("a1825b7"))


def _reranked_rows(ours: Inputs, theirs: Inputs, flipped: Inputs | None) -> Iterator[Row]:
    own = reranked_match_ranks(ours.query, ours.gallery, ours.pairs, Rerank(), ours.distance)
    reason = "k-reciprocal, k1=20 k2=6 lambda=0.3, squared distances over their row's maximum"
    yield _row("ours, re-ranked", "mAP, rank-1", own, reason, "tested against a dense float64 computation")

    clean = _without_junk(theirs)
    variants = [Variant(half=True), Variant(50, 15, half=True), Variant(counts_itself=True)]
    strong, transreid, fast_reid = reranking.match_ranks(clean, variants)
    reason = "half precision"
    yield _row("reid-strong-baseline, re-ranked", "mAP, Rank-1", strong, reason, _code("3da7e6f"))
    reason = "k1=50 k2=15 instead of 20, 6; half precision"
    yield _row("TransReID, re-ranked", "mAP, Rank-1", transreid, reason, _code("dec5504"))
    reason = "k1 neighbours instead of k1 + 1, distances not over their maximum, blended with 1 - cos"
    yield _row("fast-reid, re-ranked", "mAP, Rank-1", fast_reid, reason, _code("c9bc3ce"))
    again = [Variant(squared_again=True)]
    (torchreid,) = reranking.match_ranks(_by_euclid(clean), again)
    reason = "squared Euclid of features that are not normalised, squared again"
    yield _row("torchreid, re-ranked", "mAP, Rank-1", torchreid, reason, _code("f8cd150"))

    (layumi,) = reranking.match_ranks(theirs if flipped is None else replace(flipped, protocol=theirs.protocol), again)
    reason = "trapezoid, unmatched zero, flip; squared distances squared again, junk takes part"
    reason += "" if flipped else " (WITHOUT flip: not given)"
    name = f"{_LAYUMI}, re-ranked"
    yield _row(name, "mAP, top1", layumi, reason, _code("82ff40f"), _trapezoid, left_out=False)


def _without_junk(inputs: Inputs) -> Inputs:
    """As readers drop junk: what comes after never sees it."""
    junk = np.isin(inputs.gallery_pids, list(inputs.protocol.junk_pids))
    return inputs.select(np.arange(len(inputs.query)), np.flatnonzero(~junk))


def _by_euclid(inputs: Inputs) -> Inputs:
    return replace(inputs, protocol=replace(inputs.protocol, distance="euclidean"))


def _of_five(ranks: Ints) -> float:
    return mean_over_hits(ranks, 5)


def _trapezoid(ranks: Ints) -> float:
    return average_precision(ranks, "trapezoid")


def _code(commit: str) -> str:
    return f"checked against its code, commit {commit}"


def _row(
    framework: str,
    called: str,
    ranks: list[Ints],
    reason: str,
    checked: str,
    ap: Callable[[Ints], float] = average_precision,
    top: Callable[[Ints], float] = lambda ranks: float(ranks[0] == 1),
    *,
    left_out: bool = True,
) -> Row:
    """Means over the queries with a match, or, where they are not ``left_out``, over all, those without one as zero."""
    matched = [r for r in ranks if len(r)]
    count = len(matched) if left_out else len(ranks)
    mAP, rank_1 = (sum(f(r) for r in matched) / count if count else np.nan for f in (ap, top))
    return Row(framework, called, mAP, rank_1, reason, checked)


def _ranks(inputs: Inputs) -> list[Ints]:
    return ranks_of(inputs)[0]


def _with_flipped(inputs: Inputs, query_flipped: Any, gallery_flipped: Any) -> Inputs | None:
    """The inputs with features of image and mirrored image added."""
    given = {"query_flipped": query_flipped, "gallery_flipped": gallery_flipped}
    if all(features is None for features in given.values()):
        return None
    missing = [name for name, features in given.items() if features is None]
    if missing:
        raise UserError(f"{missing[0]} is missing; give the features of the mirrored images for both, or for neither")
    query = _sum("query_flipped", query_flipped, Gallery.of(inputs.query))
    return replace(inputs, query=query, features=Gallery.of(_sum("gallery_flipped", gallery_flipped, inputs.features)))


def _sum(name: str, flipped: Any, features: Gallery) -> Floats32:
    mirrored = Gallery.of(flipped, name)
    if (mirrored.rows, mirrored.width) != (features.rows, features.width):
        raise UserError(
            f"{name} has shape {[mirrored.rows, mirrored.width]} for features of shape "
            f"{[features.rows, features.width]}; give one row an image, from the same model"
        )
    sums = np.empty((features.rows, features.width), dtype=np.float32)
    for (start, block), (_, other) in zip(features.blocks(_ROWS), mirrored.blocks(_ROWS), strict=True):
        np.add(block.cpu().numpy(), other.cpu().numpy(), out=sums[start : start + len(block)])
    return sums
