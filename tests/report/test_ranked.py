"""choose_queries: every expectation is worked out by hand from the definition in its docstring."""

import numpy as np
import pytest

from reid.report import choose_queries

NAN = float("nan")


def test_thirds_of_a_field_of_nine() -> None:
    # falling AP: 4(.9) 8(.8) 0(.7) 2(.6) 6(.5) 1(.4) 7(.3) 3(.2) 5(.1); six places: two an end, two around the middle.
    # What remains between the ends is 0 2 6 1 7, two of five start at (5 - 2) // 2 = 1: 2 and 6.
    ap = np.array([0.7, 0.4, 0.6, 0.2, 0.9, 0.1, 0.5, 0.3, 0.8])
    assert choose_queries(ap, 6) == [
        (4, "best"),
        (8, "best"),
        (2, "median"),
        (6, "median"),
        (5, "worst"),
        (3, "worst"),
    ]


def test_nan_is_left_out() -> None:
    ap = np.array([NAN, 0.2, NAN, 0.9, 0.5, NAN])
    assert choose_queries(ap, 3) == [(3, "best"), (4, "median"), (1, "worst")]
    assert choose_queries(np.array([NAN, NAN])) == []


@pytest.mark.parametrize(
    ("ap", "expected"),
    [
        ([], []),
        ([0.3], [(0, "best")]),
        ([0.3, 0.8], [(1, "best"), (0, "worst")]),
        ([0.3, 0.8, 0.5], [(1, "best"), (2, "median"), (0, "worst")]),
        ([0.3, 0.8, 0.5, 0.1], [(1, "best"), (2, "best"), (0, "median"), (3, "worst")]),
        ([0.3, 0.8, 0.5, 0.1, 0.9], [(4, "best"), (1, "best"), (2, "median"), (3, "worst"), (0, "worst")]),
    ],
)
def test_fewer_queries_than_asked_for(ap: list[float], expected: list[tuple[int, str]]) -> None:
    assert choose_queries(np.array(ap), 12) == expected


def test_ties_are_settled_by_index() -> None:
    assert choose_queries(np.ones(7), 3) == [(0, "best"), (3, "median"), (6, "worst")]


@pytest.mark.parametrize("size", range(0, 40))
@pytest.mark.parametrize("count", [0, 1, 2, 3, 12, 13])
def test_never_twice_and_ordered(size: int, count: int) -> None:
    ap = np.random.default_rng(size).integers(0, 5, size) / 4  # many ties
    chosen = choose_queries(ap, count)
    indices = [index for index, _ in chosen]
    assert len(indices) == len(set(indices)) == min(count, size)
    values = {group: [ap[index] for index, of in chosen if of == group] for group in ("best", "median", "worst")}
    assert values["best"] == sorted(values["best"], reverse=True)
    assert values["worst"] == sorted(values["worst"])
    if values["best"]:
        assert values["best"][0] == ap.max()
    if values["worst"]:
        assert values["worst"][0] == ap.min()
        assert min(values["best"]) >= max(values["worst"])


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        choose_queries(np.ones((2, 2)))
    with pytest.raises(ValueError, match="negative"):
        choose_queries(np.ones(2), -1)
