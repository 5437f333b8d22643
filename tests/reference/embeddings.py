"""Rows that look like an embedding's output."""

import numpy as np


def people(seed: int, images: int, dimensions: int, identities: int = 20) -> np.ndarray:
    """Rows around the centres of identities, as an embedding makes them; no ties."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((identities, dimensions))[rng.integers(0, identities, images)]
    return (centres + 0.7 * rng.standard_normal(centres.shape)).astype(np.float32)
