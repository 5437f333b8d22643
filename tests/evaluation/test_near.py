"""Collapsed galleries: every bit of a score and every rank against the definition, worked out with math.fsum."""

import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from reference import brute_force

from reid.evaluation.inputs import check_inputs
from reid.evaluation.ranking import near
from reid.evaluation.ranking.near import Near
from reid.evaluation.ranking.ranks import match_ranks
from reid.evaluation.ranking.scores import Distance


def by_definition(q: np.ndarray, g: np.ndarray) -> float:
    q, g = q.astype(np.float64), g.astype(np.float64)
    length = math.sqrt(math.fsum((q * q).tolist())) * math.sqrt(math.fsum((g * g).tolist()))
    return math.fsum((q * g).tolist()) / length if length > 0 else 0.0


def collapsed(rng: np.random.Generator, count: int, width: int, noise: float) -> np.ndarray:
    """Rows about one point, most of whose numbers have either sign and any size."""
    row = rng.standard_normal(width) * 10.0 ** rng.integers(-3, 3, width)
    return (row * (1 + noise * rng.standard_normal((count, width)))).astype(np.float32)


@pytest.mark.parametrize("width", [1, 3, 64, 513])
@pytest.mark.parametrize("noise", [0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-2, 1.0])
def test_every_bit_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch, noise: float, width: int) -> None:
    monkeypatch.setattr(near, "_CROWDED", math.inf)
    monkeypatch.setattr(near, "_CELLS", 100)
    rng = np.random.default_rng(width)
    rows = collapsed(rng, 47, width, noise)
    query, images = rows[:7], rows[7:]
    images[3], images[5], query[2] = 0, images[4], -query[1]
    query[4], images[6] = 1e3 * query[4], 1e-30 * images[6]  # far from the others
    close = Near(query, images[0])
    block = close.block(images)
    assert block is not None
    scores = close.tiles(block, torch.device("cpu"))
    expected = [[by_definition(q, g) for g in images] for q in query]
    assert np.concatenate([tile.numpy() for _, tile in scores]).tolist() == expected


@pytest.mark.parametrize("protocol", ["market1501", "cross_camera_only"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("width", [1, 7, 64, 257])
@pytest.mark.parametrize("noise", [1e-8, 1e-7, 1e-6, 1e-5])
def test_every_rank_is_that_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, noise: float, width: int, distance: Distance, protocol: str
) -> None:
    rng = np.random.default_rng([width, int(-10 * math.log10(noise))])
    q, g = int(rng.integers(1, 8)), int(rng.integers(50, 150))
    rows = collapsed(rng, q + g, width, noise)
    rows[-3:] = rng.standard_normal((3, width))
    rows[-1] *= rng.integers(2)
    pids, cameras = rng.integers(-1, 5, q + g), rng.integers(0, 3, q + g)
    pids[:q] = np.maximum(pids[:q], 1)
    inputs = check_inputs(
        rows[:q],
        rows[q:],
        query_pids=pids[:q],
        gallery_pids=pids[q:],
        query_camids=cameras[:q],
        gallery_camids=cameras[q:],
        protocol=protocol,
        distance=distance,
    )
    monkeypatch.setattr(near, "_CELLS", int(rng.choice([1, 100, 2**19])))
    monkeypatch.setattr(near, "_TYPICAL", float(rng.choice([0.5, 0.99])))
    found = match_ranks(inputs.query, inputs.features, inputs.pairs, distance, block_rows=int(rng.integers(20, 300)))
    rules = {"distance": distance, "ignore_camera": protocol == "cross_camera_only"}
    people = pids.tolist(), cameras.tolist()
    expected = [
        brute_force.match_ranks(rows[k], *(of[k] for of in people), rows[q:], *(of[q:] for of in people), **rules)
        for k in range(q)
    ]
    assert [r.tolist() for r in found] == expected


def test_the_cheap_way_is_taken_where_rows_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = collapsed(rng, 110, 256, 1e-7)
    slow = Mock(wraps=near.pair_scores)
    monkeypatch.setattr(near, "pair_scores", slow)
    close = Near(rows[:50], rows[0])
    block = close.block(rows[50:])
    assert block is not None
    for _, tile in close.tiles(block, torch.device("cpu")):
        assert tile.shape == (50, 60)
    assert sum(len(call.args[2]) for call in slow.call_args_list) < 10
    assert close.block(collapsed(rng, 60, 256, 1e-3)) is None
