"""A gallery that comes in blocks with its labels: cut anywhere, the result is that of the whole array."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from reference.cases import Case, random_case

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, evaluate
from reid.evaluation.inputs import check_inputs
from reid.evaluation.stream import is_stream, read_stream

NAMES = ("pids", "camids", "tracks", "times", "clothes")


def mappings(case: Case, seed: int) -> list[dict[str, Any]]:
    """The gallery of a case in blocks of odd sizes, an empty one among them."""
    rng = np.random.default_rng(seed)
    ends = [0, *sorted(rng.integers(0, len(case.gallery) + 1, 4).tolist()), len(case.gallery)]
    labels = case.all_labels()
    return [
        {"features": case.gallery[i:j], **{name: labels[f"gallery_{name}"][i:j] for name in NAMES}}
        for i, j in itertools.pairwise(ends)
    ]


class Loader:
    """Like a DataLoader: iterating starts anew each time."""

    def __init__(self, blocks: list[Any]) -> None:
        self.blocks, self.passes = blocks, 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return iter(self.blocks)


FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "list": lambda blocks: blocks,
    "tuple": tuple,
    "iterable": Loader,
    "function that makes a generator": lambda blocks: lambda: (block for block in blocks),
    "function that returns a list": lambda blocks: lambda: blocks,
}


@pytest.mark.parametrize("seed", range(45))
@pytest.mark.parametrize("name", PROTOCOLS)
def test_however_cut_the_result_is_that_of_the_array(name: str, seed: int) -> None:
    case = random_case(seed)
    labels = case.all_labels()
    rest = {key: value for key, value in labels.items() if not key.startswith("gallery_")}
    protocol = {"protocol": name, "distance": case.distance}
    stream = list(FORMS.values())[seed % len(FORMS)](mappings(case, seed))
    if not check_inputs(case.query, case.gallery, **labels, **protocol).pairs.match.any():
        with pytest.raises(UserError, match="none of the .* queries has a true match"):
            evaluate(case.query, stream, **rest, **protocol)
        return
    expected = evaluate(case.query, case.gallery, **labels, **protocol)
    result = evaluate(case.query, stream, **rest, **protocol)
    assert result.to_dict() == expected.to_dict()
    for one, other in zip(result.trials or [result], expected.trials or [expected], strict=True):
        for i in range(result.queries):
            assert one.match_ranks(i).tolist() == other.match_ranks(i).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_blocks_as_tuples(form: str) -> None:
    blocks = [(torch.eye(2).half(), [7, 8], torch.tensor([1, 2])), ([[1.0, 1.0]], np.array([9]), [3])]
    gallery, labels = read_stream(FORMS[form](blocks))
    assert (gallery.rows, gallery.width) == (3, 2)
    assert gallery.array().tolist() == [[1, 0], [0, 1], [1, 1]]
    assert (labels.pids.tolist(), labels.camids.tolist()) == ([7, 8, 9], [1, 2, 3])  # type: ignore[union-attr]
    assert labels.tracks is None
    assert [block.tolist() for _, block in gallery.blocks(2)] == [[[1, 0], [0, 1]], [[1, 1]]]


def test_memory_that_the_stream_uses_again() -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)

    def blocks() -> Iterator[Any]:
        memory = np.empty((1, 2), dtype=np.float32)
        for row in rows:
            memory[:] = row
            yield memory, [1]

    gallery, _ = read_stream(blocks)
    for size in (1, 2, 3, 9):
        assert np.concatenate([block.numpy().copy() for _, block in gallery.blocks(size)]).tolist() == rows.tolist()


@pytest.mark.parametrize("values", [np.eye(2), torch.eye(2), [[1.0, 0.0]], ([1.0], [0.0]), [(1.0, 0.0, 2.0)], []])
def test_features_are_no_stream(values: Any) -> None:
    assert not is_stream(values)


def changing(blocks: list[Any], later: list[Any]) -> Callable[[], Any]:
    passes = iter([blocks])
    return lambda: next(passes, later)


ONE = (np.ones((2, 3)), [1, 2], [1, 1])


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ((block for block in [ONE]), "can be iterated only once, .*; pass the function that makes it"),
        (zip([1], [2], strict=True), "can be iterated only once"),
        (lambda: iter([]), "gallery_features is empty: the stream gave no rows"),
        ([(np.ones((0, 3)), [])], "gallery_features is empty"),
        ([ONE, (np.ones((2, 4)), [1, 2], [1, 1])], "block 1 has 4 dimensions and the first 3"),
        ([ONE, (np.ones((2, 3)), [1, 2])], "blocks have unlike labels, camids, pids and pids; give all the same"),
        ([ONE, (np.ones((2, 3)), [1], [1, 1])], "block 1: pids has 1 values for 2 images"),
        ([ONE, (np.ones((2, 3)), [1.5, 2], [1, 1])], "block 1: pids must be integers, not float64"),
        ([{"features": np.ones((2, 3))}], "block 0: pids missing"),
        ([{"pids": [1, 2]}], "block 0 has no features; it may hold features, pids, camids"),
        ([{"features": np.ones((2, 3)), "pid": [1, 2]}], "block 0 holds pid; it may hold"),
        ([ONE, "block"], r"block 1 must be \(features, pids, camids\) or a mapping with these, not str"),
        (lambda: iter([np.ones((2, 3))]), "block 0 must be .* not ndarray"),
        ([(np.ones((2, 3), dtype=int), [1, 2])], "block 0 are whole numbers"),
        ([ONE, (np.full((2, 3), np.nan), [1, 2], [1, 1])], "gallery_features: rows 2, 3 hold a value that is NaN"),
        (changing([ONE, ONE], [ONE]), "a later pass over the stream gave fewer than the 4 rows of the first"),
        (changing([ONE], [ONE, ONE]), "a later pass over the stream gave more than the 2 rows of the first"),
    ],
)
def test_errors(stream: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        evaluate(np.ones((1, 3)), stream, query_pids=[1], query_camids=[5])
    assert "\n" not in str(caught.value)


def test_labels_given_twice() -> None:
    with pytest.raises(UserError, match="gallery_pids and gallery_times given, but the blocks of .* bring labels"):
        evaluate(np.ones((1, 3)), [ONE], query_pids=[1], query_camids=[5], gallery_pids=[1, 2], gallery_times=[0, 0])


def test_a_stream_of_queries() -> None:
    with pytest.raises(UserError, match="query_features must be one array; only the gallery may be a stream"):
        evaluate([ONE], np.ones((2, 3)), query_pids=[1, 2], gallery_pids=[1, 2])
