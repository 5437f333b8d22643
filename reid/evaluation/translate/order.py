"""Places in a ranked list of distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Ints


def places(distances: NDArray[np.floating], matches: Ints, junk: Ints) -> Ints:
    """Ascending 1-based places of the matches in a stable ascending order of ``distances`` [G], junk left out.

    >>> places(np.array([0.3, 0.1, 0.3, 0.2]), matches=np.array([2, 1]), junk=np.array([3]))
    array([1, 3])
    """
    kept = distances <= distances[matches].max(initial=-np.inf)
    kept[junk] = False
    near = np.flatnonzero(kept)
    order = near[np.argsort(distances[near], kind="stable")]
    return np.flatnonzero(np.isin(order, matches)) + 1
