"""A picture that compresses badly."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "0002_c1s1_000451_03.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (512, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path
