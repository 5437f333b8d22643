"""Embeddings and labels in, one ``Evaluation`` out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.inputs import Inputs, check_inputs, labels_alone
from reid.evaluation.labels import Ints
from reid.evaluation.metrics import average_precisions, cumulative_matching, inverse_negative_penalties
from reid.evaluation.protocol import Protocol
from reid.evaluation.ranking.ranked import ranks_of
from reid.evaluation.reasons import nothing_to_score, reasons
from reid.evaluation.reranking.expansion import Expansion, expand
from reid.evaluation.reranking.rerank import Rerank
from reid.evaluation.result import Evaluation, mean_over_trials
from reid.evaluation.trials import draws

_UNLUCKY = "image drawn of the identity is ignored"

__all__ = ["Evaluation", "check_labels", "evaluate", "nothing_to_score"]


def evaluate(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any = None,
    query_camids: Any = None,
    gallery_camids: Any = None,
    query_tracks: Any = None,
    gallery_tracks: Any = None,
    query_times: Any = None,
    gallery_times: Any = None,
    query_clothes: Any = None,
    gallery_clothes: Any = None,
    query_gallery_index: Any = None,
    protocol: str | Protocol = "market1501",
    distance: str | None = None,
    average_precision: str | None = None,
    rerank: Rerank | None = None,
    expansion: Expansion | None = None,
    route: str = "auto",
    device: str | torch.device | None = None,
) -> Evaluation:
    """Rank the gallery for every query and score the ranks: CMC, mAP and mINP.

    Every rank equals that of a float64 brute force over the float32 features, ties included; ``scores`` and ``ranking``
    hold the definition.

    Args:
        query_features: [Q, D] floating-point NumPy array (memory-mapped, of any layout) or tensor on any device;
            converted to float32 rows, whatever the dtype.
        gallery_features: [G, D], likewise, converted a block at a time; or a stream: an iterable that starts anew each
            time, or a function that returns one, of blocks ``(features, pids, camids)`` or mappings with features,
            pids, camids, tracks, times, clothes. It is read several times and never held.
        query_pids: [Q] integers, the identity of each image.
        gallery_pids: [G] integers; not given for a stream, and so are the other labels of the gallery.
        query_camids, gallery_camids: integers, the camera of each image; only protocols without a camera rule do
            without. Of the labels that follow, a protocol needs those that its rules compare.
        query_tracks, gallery_tracks: integers; a number stands for one track of an identity, whatever the camera.
        query_times, gallery_times: numbers, the time of each image, in seconds for the protocols in ``PROTOCOLS``.
        query_clothes, gallery_clothes: integers, a number for each outfit of an identity.
        query_gallery_index: [Q] integers, where each query image stands in the gallery, -1 where it does not; it is
            ignored there.
        protocol: a name in ``PROTOCOLS`` or a ``Protocol``.
        distance: "cosine" or "euclidean", in place of the protocol's (cosine unless you made one); features need not be
            normalised for either.
        average_precision: "precision_at_hit" or "trapezoid", in place of the protocol's.
        rerank: k-reciprocal re-ranking, of galleries that fit into memory; it is in the stamp.
        expansion: of queries, gallery or both by their neighbours before anything is ranked; likewise.
        route: the arithmetic of the first pass, which changes no rank; see ``ranking.match_ranks``.
        device: where the gallery is multiplied, a block at a time: "cpu" or "cuda". Without it, where the gallery's
            features are; those on other accelerators go to the CPU. It changes no rank.

    Raises:
        UserError: an argument is unknown, empty, of another type, length or dimension, not finite, or missing; a query
            has an identity reserved for junk or distractors; or no query has a true match.

    >>> result = evaluate(
    ...     np.eye(2), [[1.0, 0], [1, 1], [0, 1]], query_pids=[1, 2], gallery_pids=[1, 2, 1], protocol="no_camera"
    ... )
    >>> print(result)
         mAP   rank-1   rank-5  rank-10  rank-20     mINP
      66.67%   50.00%  100.00%  100.00%  100.00%   58.33%
    2 queries
    no_camera: junk -1 ignored, no distractors, cameras not considered, AP = mean precision at each true match, cosine
    """
    inputs = check_inputs(
        query_features,
        gallery_features,
        query_pids=query_pids,
        gallery_pids=gallery_pids,
        query_camids=query_camids,
        gallery_camids=gallery_camids,
        query_tracks=query_tracks,
        gallery_tracks=gallery_tracks,
        query_times=query_times,
        gallery_times=gallery_times,
        query_clothes=query_clothes,
        gallery_clothes=gallery_clothes,
        query_gallery_index=query_gallery_index,
        protocol=protocol,
        distance=distance,
        average_precision=average_precision,
        device=device,
    )
    if expansion is not None:
        query, gallery = expand(inputs.query, inputs.gallery, expansion)
        protocol = replace(inputs.protocol, expansion=expansion.stamp)
        inputs = replace(
            inputs, query=query, features=Gallery.of(gallery, device=inputs.features.device), protocol=protocol
        )
    return evaluate_inputs(inputs, route, rerank)


def evaluate_inputs(inputs: Inputs, route: str = "auto", rerank: Rerank | None = None) -> Evaluation:
    """``evaluate`` on what ``check_inputs`` made."""
    if rerank is not None:
        inputs = replace(inputs, protocol=replace(inputs.protocol, reranking=rerank.stamp))
    if not inputs.pairs.match.any():
        raise UserError(nothing_to_score(inputs))
    why = {reason: len(queries) for reason, queries in reasons(inputs).items()}
    if inputs.protocol.trials:
        return _mean(inputs, [_trial(inputs, parts, route, rerank, why) for parts in draws(inputs)], why)
    ranks, length = ranks_of(inputs, route, rerank)
    return _evaluation(inputs, ranks, length, why, None if rerank else inputs)


def _trial(
    inputs: Inputs, parts: list[tuple[Ints, Ints]], route: str, rerank: Rerank | None, why: dict[str, int]
) -> Evaluation:
    ranks = [np.zeros(0, dtype=np.int64)] * len(inputs.query)
    for queries, images in parts:
        found = ranks_of(inputs.select(queries, images), route, rerank)[0] if len(images) else []
        for query, of_query in zip(queries, found, strict=False):
            ranks[query] = of_query
    unlucky = sum(len(r) == 0 for r in ranks) - sum(why.values())
    why = {**why, **({_UNLUCKY: unlucky} if unlucky else {})}
    return _evaluation(inputs, ranks, max(len(images) for _, images in parts), why, None)


def _mean(inputs: Inputs, trials: list[Evaluation], why: dict[str, int]) -> Evaluation:
    return Evaluation(
        protocol=inputs.protocol,
        cmc=mean_over_trials([trial.cmc for trial in trials]),
        ap=mean_over_trials([trial.ap for trial in trials]),
        inp=mean_over_trials([trial.inp for trial in trials]),
        query_pids=inputs.query_pids,
        unmatched_reasons=why,
        trials=tuple(trials),
        _ranks=(),
        _inputs=inputs,
    )


def _evaluation(inputs: Inputs, ranks: list[Ints], length: int, why: dict[str, int], keep: Inputs | None) -> Evaluation:
    counts, flat = np.array([len(r) for r in ranks]), np.concatenate(ranks)
    first = np.cumsum(counts)[counts > 0] - counts[counts > 0]
    return Evaluation(
        protocol=inputs.protocol,
        cmc=cumulative_matching(flat[first], length) if len(first) else np.full(length, np.nan),
        ap=average_precisions(flat, counts, inputs.protocol.average_precision),
        inp=inverse_negative_penalties(flat, counts),
        query_pids=inputs.query_pids,
        unmatched_reasons=why,
        _ranks=tuple(ranks),
        _inputs=keep,
    )


def check_labels(*, query_pids: Any, gallery_pids: Any, **options: Any) -> None:
    """Raise what ``evaluate`` would raise for these labels and options whatever the features, before there are any."""
    inputs = labels_alone(query_pids=query_pids, gallery_pids=gallery_pids, **options)
    if not inputs.pairs.match.any():
        raise UserError(nothing_to_score(inputs))
