"""The cells that play no part: every pair of one identity, true matches too, since these are ranked apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.pairs import Pairs


@dataclass(frozen=True, eq=False)
class Ignored:
    """Cells of a tile that play no part: pairs (row, column), rows ascending, and columns of the row's own group."""

    row: Ints
    column: Ints
    row_group: Tensor | None = None
    column_group: Tensor | None = None

    def blank(self, tile: Tensor) -> None:
        """Put the least number of their type into these cells."""
        least = (torch.finfo if tile.is_floating_point() else torch.iinfo)(tile.dtype).min
        if tile.device.type == "cpu":
            tile.numpy()[self.row, self.column] = least  # sooner done than by PyTorch
        else:
            tile[torch.from_numpy(self.row).to(tile.device), torch.from_numpy(self.column).to(tile.device)] = least
        if self.row_group is not None and self.column_group is not None:
            tile.masked_fill_(self.row_group[:, None] == self.column_group, least)

    def part(self, rows: slice) -> Ignored:
        """The same for some rows."""
        start, stop = np.searchsorted(self.row, [rows.start, rows.stop])
        groups = None if self.row_group is None else self.row_group[rows]
        return Ignored(self.row[start:stop] - rows.start, self.column[start:stop], groups, self.column_group)

    def take(self, rows: Ints) -> Ignored:
        """The same for some rows, ascending."""
        place = np.full(int(max(self.row.max(initial=0), rows.max(initial=0))) + 1, -1)
        place[rows] = np.arange(len(rows))
        row = place[self.row]
        groups = None if self.row_group is None else self.row_group[torch.from_numpy(rows).to(self.row_group.device)]
        return Ignored(row[row >= 0], self.column[row >= 0], groups, self.column_group)


class Blanks:
    """Those of the active queries and the whole gallery."""

    def __init__(self, pairs: Pairs, queries: Ints, device: torch.device) -> None:
        self._device = device
        active = np.full(len(pairs.starts) - 1, -1)
        active[queries] = np.arange(len(queries))
        owner = np.repeat(active, np.diff(pairs.starts))
        order = np.lexsort((owner, pairs.gallery))
        order = order[owner[order] >= 0]
        self._row, self._column = owner[order], pairs.gallery[order]
        self.groups = None
        if pairs.query_group is not None and pairs.gallery_group is not None:
            groups = pairs.query_group[queries], pairs.gallery_group
            self.groups = tuple(torch.from_numpy(values).to(device) for values in groups)

    def block(self, gallery: Ints) -> Ignored:
        """Those of some gallery rows, which lie close together."""
        first = int(gallery.min())
        begin, end = np.searchsorted(self._column, [first, int(gallery.max()) + 1])
        place = np.full(int(gallery.max()) + 1 - first, -1)
        place[gallery - first] = np.arange(len(gallery))
        row, column = self._row[begin:end], place[self._column[begin:end] - first]
        order = np.argsort(row, kind="stable")
        order = order[column[order] >= 0]
        if self.groups is None:
            return Ignored(row[order], column[order])
        of_rows, of_gallery = self.groups
        return Ignored(row[order], column[order], of_rows, of_gallery[torch.from_numpy(gallery).to(self._device)])
