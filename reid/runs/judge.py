"""A trained embedder and a split -> the numbers, and the pictures beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reid.data.records import Record, Split, camids, names, pids, told
from reid.data.store import Cache, Images, open_images
from reid.errors import unknown
from reid.evaluation import Evaluation, Protocol, Rerank, check_labels, evaluate, ranked_gallery
from reid.evaluation.protocols import named_protocol
from reid.models.embedder import Embedder
from reid.models.extract import extract
from reid.report import RankedImage, RankedQuery, choose_queries
from reid.runs.tracks import pool_tracks, tracks_of

POOLS = ("none", "track")
RANKED = 10
_TOLD = {"clothes": "clothes", "tracks": "track", "times": "time"}


@dataclass(frozen=True)
class Judging:
    """How to judge: by which rules (``protocol``, ``distance``, ``rerank``), and how the features are made.

    ``flip`` adds the embedding of each image's mirror image to its own.
    ``pool`` "track" judges tracks instead of images, each by the mean of its images' embeddings; "none" does not.
    ``together`` lets all processes make the features; the first then judges, while the others call ``help_to_judge``.
    """

    protocol: str
    distance: str
    batch_size: int
    device: torch.device
    cache: Cache
    skip_unreadable: bool
    bf16: bool = False
    flip: bool = False
    pool: str = "none"
    rerank: Rerank | None = None
    together: bool = False

    def rules(self) -> Protocol:
        """The protocol, with what was done to the features in its stamp."""
        flip = "mirror image's embedding added" if self.flip else ""
        feature = "mean over the track's frames" if self.pool == "track" else ""
        rules = named_protocol(self.protocol)
        return replace(rules, distance=self.distance, flip=flip, feature=feature)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Judgement:
    """The outcome on one split: the evaluation, the images it was made on, and their features float32 [N, D].

    Where tracks were pooled the images are the first of each track, and the features those of the tracks.
    """

    evaluation: Evaluation
    query: Images
    gallery: Images
    query_features: np.ndarray
    gallery_features: np.ndarray
    how: Judging

    def per_query(self, root: Path) -> list[tuple[Any, ...]]:
        """One row a query: file, pid, camid, AP, rank of the first and the last true match; blank without a match.

        The file is told by ``reid.data.records.names``. Where galleries are drawn the AP is the mean over them, and
        there is no rank.
        """
        rows: list[tuple[Any, ...]] = []
        files = names(self.query.records, root)
        for i, (r, ap) in enumerate(zip(self.query.records, self.evaluation.ap, strict=True)):
            ranks: Any = [] if self.evaluation.trials else self.evaluation.match_ranks(i)
            ends = (int(ranks[0]), int(ranks[-1])) if len(ranks) else ("", "")
            rows.append((files[i], r.pid, r.camid, "" if np.isnan(ap) else f"{ap:.6f}", *ends))
        return rows

    def ranked(self, count: int = 12) -> list[RankedQuery]:
        """The ranked gallery of the best, median and worst queries."""
        chosen = choose_queries(self.evaluation.ap, count)
        index = [i for i, _ in chosen]
        query = [self.query.records[i] for i in index]
        lists = ranked_gallery(
            self.query_features[index],
            self.gallery_features,
            **labels_of(query, self.gallery.records),
            protocol=self.how.protocol,
            distance=self.how.distance,
            k=RANKED,
        )
        result = []
        for (i, group), q, places in zip(chosen, query, lists, strict=True):
            found = [(rank, self.gallery.records[g]) for rank, g in enumerate(places, 1) if g >= 0]
            images = [RankedImage(g.path, g.pid, g.camid, rank, g.pid == q.pid) for rank, g in found]
            result.append(RankedQuery(q.path, q.pid, q.camid, float(self.evaluation.ap[i]), group, images))
        return result


def judge(embedder: Embedder, split: Split, how: Judging) -> Judgement:
    """Extract the features of query and gallery and evaluate them."""
    parts = [_features(embedder, records, how) for records in (split.query, split.gallery)]
    if how.pool == "track":
        parts = [pool_tracks(*part) for part in parts]
    (query, query_features), (gallery, gallery_features) = parts
    evaluation = score(query_features, gallery_features, query.records, gallery.records, how)
    return Judgement(evaluation, query, gallery, query_features, gallery_features, how)


def help_to_judge(embedder: Embedder, split: Split, how: Judging) -> None:
    """What the other processes do while the first calls ``judge``: their share of the features."""
    for records in (split.query, split.gallery):
        _features(embedder, records, how)


def _features(embedder: Embedder, records: tuple[Record, ...], how: Judging) -> tuple[Images, np.ndarray]:
    """The images of some records and their features, not brought to length 1 where tracks are pooled."""
    images = open_images(records, embedder.image_size, cache=how.cache, skip_unreadable=how.skip_unreadable)
    features = extract(
        embedder,
        images,
        batch_size=how.batch_size,
        device=how.device,
        bf16=how.bf16,
        view="both" if how.flip else "image",
        normalise=how.pool != "track",
        together=how.together,
    )
    return images, features


def score(
    query_features: np.ndarray, gallery_features: np.ndarray, query: tuple, gallery: tuple, how: Judging
) -> Evaluation:
    """Evaluate features [Q, D] and [G, D] of the records they belong to."""
    return evaluate(
        query_features,
        gallery_features,
        **labels_of(query, gallery),
        protocol=how.rules(),
        rerank=how.rerank,
    )


def refuse_hopeless(split: Split, protocol: str, distance: str, pool: str = "none") -> None:
    """Raise now what ``judge`` would raise after training: an unknown protocol, a reserved query, nothing to find."""
    if pool not in POOLS:
        raise unknown("eval.pool", pool, POOLS)
    if pool == "track":
        tracks_of(split.query + split.gallery)
    check_labels(**labels_of(split.query, split.gallery), protocol=protocol, distance=distance)


def labels_of(query: Sequence[Record], gallery: Sequence[Record]) -> dict[str, Any]:
    """All that the records tell, as ``evaluate`` names it."""
    columns: dict[str, Any] = {}
    for side, records in (("query", query), ("gallery", gallery)):
        columns |= {f"{side}_pids": pids(records), f"{side}_camids": camids(records)}
        columns |= {f"{side}_{name}": told(records, field) for name, field in _TOLD.items()}
    return columns


def metrics(judgement: Judgement, **facts: Any) -> dict[str, Any]:
    """The content of metrics.json: fractions, the protocol they were made by, and ``facts`` that tell of what."""
    unread = len(judgement.query.unreadable) + len(judgement.gallery.unreadable)
    return {
        **numbers_of(judgement.evaluation, by_camera=judgement.how.rerank is None),
        **({"unreadable_images_left_out": unread} if unread else {}),
        **facts,
    }


def numbers_of(evaluation: Evaluation, by_camera: bool) -> dict[str, Any]:
    """Metrics, their 95 % intervals over identities and, if asked for and not drawn, the matrix of cameras."""
    intervals = {name: evaluation.confidence_interval(name) for name in ("mAP", "rank-1", "mINP")}
    return {
        **evaluation.to_dict(),
        **{f"{name}_interval": [i.low, i.high] for name, i in intervals.items() if i.identities > 1},
        **({"by_camera": evaluation.by_camera().to_dict()} if by_camera and not evaluation.trials else {}),
    }
