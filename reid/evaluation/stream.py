"""A gallery as a stream of blocks that bring their labels: larger than memory, or from wherever features come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from reid.errors import UserError
from reid.evaluation.gallery import Gallery, as_rows, refuse_non_finite, resized
from reid.evaluation.labels import Labels, check_labels_of

_NAME = "gallery_features"
_LABELS = "pids", "camids", "tracks", "times", "clothes"


def is_stream(values: Any) -> bool:
    """Whether ``values`` give blocks of features with labels rather than features."""
    if hasattr(values, "__array__"):
        return False
    if isinstance(values, (list, tuple)):
        return len(values) > 0 and _is_block(values[0])
    return callable(values) or hasattr(values, "__iter__")


def read_stream(
    values: Iterable[Any] | Callable[[], Iterable[Any]], device: torch.device | None = None
) -> tuple[Gallery, Labels]:
    """The features, to be read again, and all labels, which one pass collects.

    Args:
        values: an iterable of blocks that starts anew each time, or a function without arguments that returns one. A
            block is ``(features, pids)``, ``(features, pids, camids)``, or a mapping with ``features``, ``pids`` and
            whatever of camids, tracks, times and clothes the protocol needs.
        device: where the gallery's blocks go; as in ``Gallery.of``, by the first of them.

    Raises:
        UserError: it can be iterated only once, is empty, or a block is not like that or not like the first.

    >>> gallery, labels = read_stream([(np.zeros((2, 4)), [7, 8]), (np.ones((1, 4)), [9])])
    >>> gallery.rows, labels.pids.tolist()
    (3, [7, 8, 9])
    """
    start: Callable[[], Iterable[Any]]
    if not hasattr(values, "__iter__"):
        start = values
    elif iter(values) is values:
        raise UserError(
            f"{_NAME} can be iterated only once, and ranks need it several times; pass the function that makes it"
        )
    else:
        start = lambda: values  # noqa: E731
    names, columns, rows, width = None, [], 0, 0
    for features, labels in _blocks(start):
        refuse_non_finite(_NAME, features, rows)
        known = {name for name in _LABELS if getattr(labels, name) is not None}
        names, width, device = names or known, width or features.shape[1], device or features.device
        if known != names:
            raise UserError(
                f"{_NAME}: blocks have unlike labels, {_listed(names)} and {_listed(known)}; give all the same"
            )
        columns.append(labels)
        rows += len(features)
    if not rows:
        raise UserError(f"{_NAME} is empty: the stream gave no rows; check that the split has images")

    def read(size: int) -> Iterator[torch.Tensor]:
        return resized((features for features, _ in _blocks(start, width)), size)

    gallery = Gallery(read, rows, width, _NAME, device or torch.device("cpu"))
    gallery._finite = rows
    return gallery, Labels(**{name: np.concatenate([getattr(c, name) for c in columns]) for name in names or ()})


def _blocks(start: Callable[[], Iterable[Any]], width: int = 0) -> Iterator[tuple[torch.Tensor, Labels]]:
    """(float32 rows, labels) of every block of a new pass, all of one width."""
    for number, block in enumerate(start()):
        where = f"{_NAME}, block {number}"
        if not _is_block(block):
            raise UserError(
                f"{where} must be (features, pids, camids) or a mapping with these, not {type(block).__name__}"
            )
        given = block if isinstance(block, Mapping) else dict(zip(("features", *_LABELS), block, strict=False))
        unknown = set(given) - {"features", *_LABELS}
        if unknown or "features" not in given:
            wrong = f"holds {_listed(unknown)}" if unknown else "has no features"
            raise UserError(f"{where} {wrong}; it may hold features, {', '.join(_LABELS)}")
        features = as_rows(where, given["features"])
        width = width or features.shape[1]
        if features.shape[1] != width:
            raise UserError(f"{where} has {features.shape[1]} dimensions and the first {width}; give all the same")
        labels = {name: given.get(name) for name in _LABELS}
        yield features, check_labels_of(f"{where}: ", labels, len(features))


def _is_block(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, (tuple, list)) or not 2 <= len(value) <= 1 + len(_LABELS):
        return False
    first = value[0]
    return (first.ndim if hasattr(first, "ndim") else np.ndim(first)) == 2


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names)))
