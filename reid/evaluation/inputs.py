"""What a user hands in, checked once and told in one line; the rest of the folder may trust it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.gallery import Gallery
from reid.evaluation.labels import Bools, Ints, Labels, check_labels_of, whole_numbers
from reid.evaluation.pairs import Pairs, make_pairs
from reid.evaluation.protocol import Distance, Protocol
from reid.evaluation.protocols import named_protocol
from reid.evaluation.stream import is_stream, read_stream


@dataclass(frozen=True, eq=False)
class Inputs:
    """Checked features and labels, and the protocol that judges them.

    Attributes:
        query: [Q, D] float32.
        features: of the gallery, in blocks.
        query_labels: of Q images.
        gallery_labels: of G images.
        protocol: the rules, distance included.
        query_gallery_index: [Q] int64, where each query stands in the gallery, -1 where it does not; or None.
    """

    query: NDArray[np.float32]
    features: Gallery
    query_labels: Labels
    gallery_labels: Labels
    protocol: Protocol
    query_gallery_index: Ints | None = None

    @cached_property
    def gallery(self) -> NDArray[np.float32]:
        """[G, D] float32, all in memory unless it is a float32 array already: for small galleries, and lists."""
        return self.features.array()

    @property
    def distance(self) -> Distance:
        return self.protocol.distance

    @property
    def query_pids(self) -> Ints:
        return self.query_labels.pids

    @property
    def gallery_pids(self) -> Ints:
        return self.gallery_labels.pids

    @property
    def query_camids(self) -> Ints | None:
        return self.query_labels.camids

    @property
    def gallery_camids(self) -> Ints | None:
        return self.gallery_labels.camids

    @cached_property
    def pairs(self) -> Pairs:
        """Who shares whose identity, judged; see ``make_pairs``."""
        return make_pairs(self.query_labels, self.gallery_labels, self.protocol, self.query_gallery_index)

    def judge(self, rows: slice) -> tuple[Bools, Bools]:
        """(match, junk) of a block of queries against the whole gallery, bool [rows, G]; see ``Protocol.judge``."""
        query = self.query_labels.take(np.arange(len(self.query))[rows])
        own = None if self.query_gallery_index is None else self.query_gallery_index[rows]
        return self.protocol.judge(query, self.gallery_labels, own)

    def select(self, queries: Ints, images: Ints) -> Inputs:
        """Some queries and some gallery images, both ascending; the features of the gallery stay where they are."""
        own = self.query_gallery_index
        if own is not None:
            own = own[queries]
            place = np.minimum(np.searchsorted(images, own), len(images) - 1)
            own = np.where(images[place] == own, place, -1)
        return Inputs(
            self.query[queries],
            self.features.select(images),
            self.query_labels.take(queries),
            self.gallery_labels.take(images),
            self.protocol,
            own,
        )


def check_inputs(
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
    device: str | torch.device | None = None,
) -> Inputs:
    """Convert and check the arguments of ``evaluate`` and its neighbours, which document them.

    Raises:
        UserError: whatever is wrong, with the argument's name and the way out.
    """
    options: dict[str, Any] = {"distance": distance, "average_precision": average_precision}
    options |= {"ignore_own_image": True if query_gallery_index is not None else None}
    protocol = replace(named_protocol(protocol), **{k: v for k, v in options.items() if v is not None})

    if is_stream(query_features):
        raise UserError("query_features must be one array; only the gallery may be a stream")
    query = Gallery.of(query_features, "query_features").array()
    given = {"pids": gallery_pids, "camids": gallery_camids, "tracks": gallery_tracks}
    given |= {"times": gallery_times, "clothes": gallery_clothes}
    if is_stream(gallery_features):
        twice = [f"gallery_{name}" for name, value in given.items() if value is not None]
        if twice:
            raise UserError(
                f"{' and '.join(twice)} given, but the blocks of gallery_features bring labels; leave them out"
            )
        gallery, gallery_labels = read_stream(gallery_features, _device(device))
    else:
        gallery = Gallery.of(gallery_features, device=_device(device))
        gallery_labels = check_labels_of("gallery_", given, gallery.rows)
    if query.shape[1] != gallery.width:
        raise UserError(
            f"query_features have {query.shape[1]} dimensions and gallery_features {gallery.width}; "
            "extract both with the same model"
        )
    given = {"pids": query_pids, "camids": query_camids, "tracks": query_tracks}
    given |= {"times": query_times, "clothes": query_clothes}
    query_labels = check_labels_of("query_", given, len(query))
    protocol = _with_needed_labels(protocol, query_labels, gallery_labels)
    _refuse_reserved_queries(query_labels.pids, protocol)
    own = None
    if query_gallery_index is not None:
        own = _own_images(query_gallery_index, query_labels.pids, gallery_labels.pids)
    return Inputs(query, gallery, query_labels, gallery_labels, protocol, own)


def labels_alone(*, query_pids: Any, gallery_pids: Any, **options: Any) -> Inputs:
    """``check_inputs`` before there are features: for what the labels tell by themselves, as who has a match."""
    query, gallery = np.zeros((len(query_pids), 1)), np.zeros((len(gallery_pids), 1))
    return check_inputs(query, gallery, query_pids=query_pids, gallery_pids=gallery_pids, **options)


def _device(asked: str | torch.device | None) -> torch.device | None:
    """The device asked for; UserError unless it is the CPU or a CUDA device that is there."""
    try:
        device = None if asked is None else torch.device(asked)
    except (RuntimeError, TypeError):
        raise UserError(f"device={asked!r} is unknown: choose cpu, cuda or cuda:NUMBER") from None
    if device is None or device.type == "cpu":
        return device
    if device.type != "cuda":
        raise UserError(f"device={asked!r}: ranks need float64, which is computed on cpu and cuda; choose one of them")
    if (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device={asked!r}: there are {torch.cuda.device_count()} CUDA devices; choose another or cpu")
    return device


def _with_needed_labels(protocol: Protocol, query: Labels, gallery: Labels) -> Protocol:
    """The protocol, once it is sure that what it compares is there."""
    sides = {"query": query, "gallery": gallery}

    def missing(name: str) -> list[str]:
        return [f"{side}_{name}" for side, labels in sides.items() if getattr(labels, name) is None]

    if protocol.ignore_same_track and protocol.ignore_within:  # one of the two is enough
        if not missing("tracks") and missing("times"):
            protocol = replace(protocol, ignore_within=0)
        elif not missing("times") and missing("tracks"):
            protocol = replace(protocol, ignore_same_track=False)
    for name, rule in protocol.needs.items():
        if missing(name):
            kind = {"camids": "camera ids"}.get(name, name)
            way_out = ", or choose protocol='no_camera'" if name == "camids" else ""
            raise UserError(
                f"{' and '.join(missing(name))} missing: protocol {protocol.name} {rule}; give {kind}{way_out}"
            )
    if protocol.gallery_unit == "track" and gallery.tracks is None:
        raise UserError(f"gallery_tracks missing: protocol {protocol.name} ranks tracks; give the track of each image")
    return protocol


def _refuse_reserved_queries(query_pids: Ints, protocol: Protocol) -> None:
    """A query whose identity can match nothing by definition is a mislabelled set, not a hard query."""
    reserved = np.isin(query_pids, list(protocol.junk_pids | protocol.distractor_pids))
    if reserved.any():
        first = int(np.argmax(reserved))
        raise UserError(
            f"query_pids: query {first} has identity {query_pids[first]}, which protocol {protocol.name} reserves for "
            "junk or distractors; number real identities from 1, or pass a Protocol with other junk_pids and "
            "distractor_pids"
        )


def _own_images(values: Any, query_pids: Ints, gallery_pids: Ints) -> Ints:
    own = whole_numbers("query_gallery_index", values, len(query_pids))
    outside = (own < -1) | (own >= len(gallery_pids))
    if outside.any():
        first = int(np.argmax(outside))
        raise UserError(
            f"query_gallery_index: query {first} has {own[first]}, and the gallery has {len(gallery_pids)} images; "
            "count from 0, and give -1 where the query is not in the gallery"
        )
    unlike = (own >= 0) & (gallery_pids[own] != query_pids)
    if unlike.any():
        first = int(np.argmax(unlike))
        raise UserError(
            f"query_gallery_index: query {first} shows identity {query_pids[first]} and gallery image {own[first]}, "
            f"said to be the same image, {gallery_pids[own[first]]}; check the order of the gallery"
        )
    return own
