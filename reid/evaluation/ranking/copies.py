"""A collapsed network's gallery: few distinct rows, each many times, and every score a tie.

Nothing can be told apart by arithmetic there, and nothing has to be: all copies of a row have one score, by definition,
and only their indices matter where it ties with a match's.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from reid.evaluation.labels import Ints
from reid.evaluation.ranking.ignored import Ignored
from reid.evaluation.ranking.matches import Matches
from reid.evaluation.ranking.scores import Rows, pair_scores
from reid.evaluation.ranking.settle import count_below, pass_matches, ranges

_DISTINCT = 8  # rows of a block at most; beyond, the usual way is the shorter


def distinct_rows(block: Tensor) -> tuple[Ints, Ints] | None:
    """(one index of each distinct row, which of them each row equals), or None where they are more than a few."""
    begin = block[: 4 * _DISTINCT].cpu().numpy()
    if len(begin) < 4 * _DISTINCT or len({row.tobytes() for row in begin}) > _DISTINCT:
        return None  # ordinary rows, at once
    rows = block.cpu().numpy()
    raw = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))[:, 0]
    _, first, which = np.unique(raw, return_index=True, return_inverse=True)
    return (first, which) if len(first) <= _DISTINCT else None


def count_copies(
    matches: Matches,
    rows: Rows,
    distinct: tuple[Ints, Ints],
    gallery: Ints,
    ignored: Ignored,
) -> None:
    """Count a block's negatives for every match of every query.

    Args:
        matches: all of them; they are scored by definition, once.
        rows: [n, D] float32, the block without junk.
        distinct: of these rows, as ``distinct_rows`` gives it.
        gallery: [n] their gallery indices, ascending.
        ignored: cells of the active queries and the rows that do not count.
    """
    matches.define(np.arange(len(matches.gallery)))
    first, which = distinct
    active, kind = np.divmod(np.arange(len(matches.queries) * len(first)), len(first))
    scores = pair_scores(matches.query, rows, matches.queries[active], first[kind], matches.frame.distance)
    starts, ends = matches.starts[active], matches.starts[active + 1]
    low = count_below(matches.defined, starts, ends, scores, strict=True)
    high = count_below(matches.defined, starts, ends, scores, strict=False)
    for k in range(len(first)):
        copies = gallery[which == k]
        mine = kind == k
        pass_matches(matches, active[mine], np.zeros_like(low[mine]), low[mine], len(copies))
        tied = ranges(starts[mine] + low[mine], high[mine] - low[mine])[1]
        matches.counted[tied] += np.searchsorted(copies, matches.gallery[tied])
    a, row = ignored.row, ignored.column
    mine = a * len(first) + which[row]
    pass_matches(matches, a, np.zeros_like(a), low[mine], -1)
    pair, tied = ranges(starts[mine] + low[mine], high[mine] - low[mine])
    np.subtract.at(matches.counted, tied, gallery[row[pair]] < matches.gallery[tied])
