"""What is known of each image beside its features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import UserError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """One value an image; None where nothing is known.

    Attributes:
        pids: [N] int64, identities.
        camids: [N] int64, cameras.
        tracks: [N] int64, tracks: images of one identity that one camera took in a row. A number stands for one track
            of an identity, whatever the camera.
        times: [N] float64, when each image was taken, in any unit; seconds for the protocols in ``PROTOCOLS``.
        clothes: [N] int64, outfits, a number for each outfit of an identity.
    """

    pids: Ints
    camids: Ints | None = None
    tracks: Ints | None = None
    times: Floats | None = None
    clothes: Ints | None = None

    def __len__(self) -> int:
        return len(self.pids)

    def take(self, indices: Ints) -> Labels:
        """The labels of some images, in the order of ``indices``.

        >>> Labels(np.array([7, 8, 9]), camids=np.array([1, 2, 3])).take(np.array([2, 0])).camids
        array([3, 1])
        """
        return self._map(lambda column: column[indices])

    def against(self, other: Labels) -> tuple[Labels, Labels]:
        """Both, shaped so that what is compared elementwise is compared for every pair: [N, 1] and [1, M]."""
        return self._map(lambda column: column.reshape(-1, 1)), other._map(lambda column: column.reshape(1, -1))

    def _map(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Labels:
        columns: dict[str, Any] = {name: None if c is None else change(c) for name, c in vars(self).items()}
        return Labels(**columns)


def check_labels_of(prefix: str, values: Mapping[str, Any], length: int) -> Labels:
    """Labels of ``length`` images from what a user hands in: lists, arrays or tensors; None where there is nothing.

    Raises:
        UserError: identities are missing, or a label has another length or type; ``prefix`` and name tell which.

    >>> check_labels_of("query_", {"pids": [7, 8], "times": [0, 2.5]}, 2).times
    array([0. , 2.5])
    """
    if values.get("pids") is None:
        raise UserError(f"{prefix}pids missing; give the identity of each image")
    columns: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            check = time_column if name == "times" else whole_numbers
            columns[name] = check(f"{prefix}{name}", value, length)
    return Labels(**columns)


def whole_numbers(argument: str, values: Any, length: int) -> Ints:
    """int64 [length], or a UserError that names the argument."""
    column = _column(argument, values, length)
    if len(column) and column.dtype.kind not in "iu":
        raise UserError(f"{argument} must be integers, not {column.dtype}; number the labels first")
    return column.astype(np.int64)


def time_column(argument: str, values: Any, length: int) -> Floats:
    """float64 [length], finite, or a UserError that names the argument."""
    column = _column(argument, values, length)
    if column.dtype.kind not in "iuf" or not np.isfinite(column).all():
        raise UserError(f"{argument} must be finite numbers; give the time of each image, say in seconds")
    return column.astype(np.float64)


def _column(argument: str, values: Any, length: int) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    column = np.asarray(values)
    if column.ndim != 1 or len(column) != length:
        what = f"{len(column)} values" if column.ndim == 1 else f"shape {list(column.shape)}"
        raise UserError(f"{argument} has {what} for {length} images; give one label an image")
    return column
