"""The numbers behind the findings, against cases worked by hand."""

import doctest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.data.doctor import findings
from reid.data.doctor.images import odd
from reid.data.doctor.people import people
from reid.data.doctor.pixels import dhash
from reid.data.records import Record


def test_difference_hash_of_known_pictures() -> None:
    ramp = np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1))
    steps = ramp.copy()
    steps[:, 4] = 0  # falls from column 3 to 4, rises again
    steps[0] = 7  # flat
    large = np.kron(steps, np.ones((10, 5), dtype=np.uint8))
    assert dhash(Image.fromarray(ramp)).tolist() == [255] * 8
    assert dhash(Image.fromarray(ramp[:, ::-1])).tolist() == [0] * 8
    assert dhash(Image.fromarray(large)).tolist() == [0] + [0b11101111] * 7


@pytest.mark.parametrize(("value", "far"), [(31, True), (29, False), (3.2, True), (3.4, False)])
def test_where_all_are_equal_the_factor_decides(value: float, far: bool) -> None:
    assert odd(np.array([10.0] * 20 + [value]), 3).tolist() == [False] * 20 + [far]


@pytest.mark.parametrize(("value", "far"), [(630, False), (650, True), (0.16, False), (0.15, True)])
def test_where_they_vary_the_quartiles_decide(value: float, far: bool) -> None:
    """Quartiles 5, 10 and 20: three interquartile ranges of logarithms are a factor of (20 / 5) ** 3 = 64."""
    values = np.array([5.0] * 100 + [10.0] * 100 + [20.0] * 100 + [value])
    assert odd(values, 3).tolist() == [False] * 300 + [far]


def test_shared_identities_of_cameras() -> None:
    seen = {1: (3, 3, 7), 2: (3, 7, 9), 5: (9,)}
    spread = people([Record(Path(), pid, camera) for pid, cameras in seen.items() for camera in cameras])
    assert spread.images.tolist() == [1, 3, 3]
    assert spread.cameras.tolist() == [3, 7, 9]
    assert spread.shared.tolist() == [[2, 2, 1], [2, 2, 1], [1, 1, 2]]
    assert spread.quartiles() == [1, 2, 3, 3, 3]


def test_examples() -> None:
    assert doctest.testmod(findings) == (0, 1)
