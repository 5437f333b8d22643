"""What a user hands in, checked once and told in one line; the rest of the folder may trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError
from reid.evaluation.protocol import PROTOCOLS, Bools, Ints, Protocol

Distance = Literal["cosine", "euclidean"]
_DISTANCES = ("cosine", "euclidean")


@dataclass(frozen=True, eq=False)
class Inputs:
    """Checked embeddings and labels: float32 [Q, D] and [G, D] rows, int64 labels, a protocol and a distance."""

    query: NDArray[np.float32]
    gallery: NDArray[np.float32]
    query_pids: Ints
    gallery_pids: Ints
    query_camids: Ints | None
    gallery_camids: Ints | None
    protocol: Protocol
    distance: Distance

    def judge(self, rows: slice) -> tuple[Bools, Bools]:
        """(match, junk) of a block of queries against the whole gallery, bool [rows, G]; see ``Protocol.judge``."""
        camids = None if self.query_camids is None else self.query_camids[rows]
        return self.protocol.judge(self.query_pids[rows], self.gallery_pids, camids, self.gallery_camids)


def check_inputs(
    query_features: Any,
    gallery_features: Any,
    *,
    query_pids: Any,
    gallery_pids: Any,
    query_camids: Any,
    gallery_camids: Any,
    protocol: str | Protocol,
    distance: str,
) -> Inputs:
    """Convert and check the arguments of ``evaluate`` and ``ranked_gallery``, which document them.

    Raises:
        UserError: whatever is wrong, with the argument's name and the way out.
    """
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            raise UserError(f"protocol={protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}")
        protocol = PROTOCOLS[protocol]
    if distance not in _DISTANCES:
        raise UserError(f"distance={distance!r} is unknown; choose one of {', '.join(_DISTANCES)}")

    query = _features("query_features", query_features)
    gallery = _features("gallery_features", gallery_features)
    if query.shape[1] != gallery.shape[1]:
        raise UserError(
            f"query_features have {query.shape[1]} dimensions and gallery_features {gallery.shape[1]}; "
            "extract both with the same model"
        )

    cameras = {"query_camids": query_camids, "gallery_camids": gallery_camids}
    missing = [name for name, value in cameras.items() if value is None]
    if protocol.ignore_same_camera and missing:
        raise UserError(
            f"{' and '.join(missing)} missing: protocol {protocol.name} ignores matches of the query's own camera; "
            "give camera ids, or choose protocol='no_camera'"
        )
    inputs = Inputs(
        query,
        gallery,
        _labels("query_pids", query_pids, len(query)),
        _labels("gallery_pids", gallery_pids, len(gallery)),
        None if query_camids is None else _labels("query_camids", query_camids, len(query)),
        None if gallery_camids is None else _labels("gallery_camids", gallery_camids, len(gallery)),
        protocol,
        cast(Distance, distance),
    )
    _refuse_reserved_queries(inputs.query_pids, protocol)
    return inputs


def _features(name: str, values: Any) -> NDArray[np.float32]:
    if isinstance(values, torch.Tensor):
        values = values.detach().to("cpu", torch.float32).numpy()
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise UserError(f"{name} must be numbers of shape [images, dimensions], not {rows.dtype} {list(rows.shape)}")
    if 0 in rows.shape:
        raise UserError(f"{name} is empty (shape {list(rows.shape)}); check that the split has images")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told below
        rows = rows.astype(np.float32, copy=False)
    for start in range(0, len(rows), 4096):  # by blocks: a memory-mapped array stays on disk
        finite = np.isfinite(rows[start : start + 4096]).all(axis=1)
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise UserError(
                f"{name}: row {first} holds a value that is NaN or infinite in float32; "
                "extract the features again in float32 or from a checkpoint before the training diverged"
            )
    return rows


def _labels(name: str, values: Any, length: int) -> Ints:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    labels = np.asarray(values)
    if labels.ndim != 1 or len(labels) != length:
        what = f"{len(labels)} values" if labels.ndim == 1 else f"shape {list(labels.shape)}"
        raise UserError(f"{name} has {what} for {length} images; give one label an image")
    if labels.dtype.kind not in "iu":
        raise UserError(f"{name} must be integers, not {labels.dtype}; number the labels first")
    return labels.astype(np.int64)


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
