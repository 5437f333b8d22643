"""Random problems of every shape against the definition: not one rank may differ.

A hundred here; `bash scripts/test.sh -k exact_ranks --rank-cases 10000` runs as many as one likes.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from reference.cases import KINDS, features_of

from reid.evaluation.inputs import check_inputs
from reid.evaluation.ranking import block, frame, matches, rounding, settle, sieve, whole
from reid.evaluation.ranking.products import int8_is_exact
from reid.evaluation.ranking.ranks import match_ranks

ROUTES = ["auto", "bfloat16", "float32"] + ["int8"] * int8_is_exact()
# what one case is too small for, made smaller
SIZES = [
    (sieve, "_MANY", [0.0, 0.5, 1.0]),
    (sieve, "_WORTH", [1, 16]),
    (sieve, "_FAR", [1.0, 4.0]),
    (sieve, "_FEW", [0, 8, 1000]),
    (block, "_CELLS", [2**8, 2**22]),
    (block, "_WEAK", [-1.0, 0.5, 1.0]),
    (block, "_ASKED", [1, 512]),
    (block, "_PART", [2**6, 2**18]),
    (frame, "_NUMBERS", [2**6, 2**19]),
    (frame, "_NARROW", [2.0**-12, 2.0**-5, 1.0]),
    (matches, "_NUMBERS", [2**6, 2**19]),
    (matches, "_HELD", [2**6, 2**20]),
    (rounding, "_TERMS", [4, 256]),
    (rounding, "_LARGE", [1, 2**20]),
    (rounding, "_WORTH", [1, 4]),
    (frame, "_SUMMED", [4, 512]),
    (matches, "_MATCH", [4, 64]),
    (matches, "_CELL", [4, 512]),
    (settle, "_OPEN", [2**11, 2**18]),
    (settle, "_EACH", [0, 4]),
    (whole, "_NUMBERS", [2**6, 2**18]),
    (whole, "_TOGETHER", [1, 8, 32]),
]
RULES = {"market1501": (True, False), "no_camera": (False, False), "cross_camera_only": (True, True)}


def scores_of(q, gallery, norms, distance):
    """The definition for one float64 query row and all gallery rows, a list."""
    if distance == "euclidean":
        return [-math.fsum(row) for row in ((gallery - q) ** 2).tolist()]
    norm = math.sqrt(math.fsum((q * q).tolist()))
    dots = [math.fsum(row) for row in (gallery * q).tolist()]
    return [dot / (norm * n) if norm * n > 0 else 0.0 for dot, n in zip(dots, norms, strict=True)]


def ranks_by_definition(query, gallery, qp, gp, qc, gc, distance, same_camera, whole_camera):
    query, gallery = np.float64(np.float32(query)), np.float64(np.float32(gallery))
    norms = [math.sqrt(math.fsum(row)) for row in (gallery * gallery).tolist()]
    for q, pid, camid in zip(query, qp, qc, strict=False):
        order = np.argsort(-np.array(scores_of(q, gallery, norms, distance)), kind="stable")
        ignored = (gp == -1) | (same_camera & (gp == pid) & (gc == camid)) | (whole_camera & (gc == camid))
        yield (1 + np.flatnonzero(gp[order[~ignored[order]]] == pid)).tolist()


def laid_out(rng, rows):
    """The same rows in some layout of memory, some float type that holds them, NumPy or torch."""
    choice = rng.integers(6)
    if choice == 0:
        return np.asfortranarray(rows)
    if choice == 1:
        return rows[::-1].copy()[::-1]
    if choice == 2:
        return np.repeat(rows, 2, axis=1)[:, ::2]
    if choice == 3:
        return torch.from_numpy(rows.copy())
    return rows.astype(np.float64) if choice == 4 and rows.dtype == np.float32 else rows


def streamed(rng, rows, pids, camids):
    """The gallery in odd blocks."""
    edges = np.unique(np.append(rng.integers(0, len(rows), rng.integers(0, 5)), [0, len(rows)]))
    return [(rows[a:b], pids[a:b], camids[a:b]) for a, b in itertools.pairwise(edges)]


def test_not_one_rank_differs(rank_cases, monkeypatch):
    total, wrong = 0, []
    for seed in range(rank_cases):
        rng = np.random.default_rng([7, seed])
        q, g = (max(1, int(most ** rng.random() + 0.5)) for most in (200, 2000))
        width = int(rng.choice([1, 2, 3, 5, 8, 16, 33, 64, 130]))
        kind, distance = KINDS[seed % len(KINDS)], str(rng.choice(["cosine", "euclidean"]))
        dtype = np.float32 if kind == "extreme" else rng.choice([np.float16, np.float32])
        rows = features_of(rng, kind, q + g, width).astype(dtype)
        identities, cameras = int(rng.integers(1, 2 + q)), int(rng.integers(1, 5))
        qp, gp = rng.integers(1, identities + 1, q), rng.integers(-1, identities + 3, g)
        qc, gc = rng.integers(0, cameras, q), rng.integers(0, cameras, g)
        protocol, rules = list(RULES.items())[rng.integers(3)]
        gp[gp == 0] = -1 if protocol == "no_camera" else 0
        query, gallery = laid_out(rng, rows[:q]), laid_out(rng, rows[q:])
        labels = {"gallery_pids": gp, "gallery_camids": gc}
        if rng.random() < 0.3:
            gallery, labels = streamed(rng, gallery, gp, gc), {"gallery_pids": None, "gallery_camids": None}
        inputs = check_inputs(
            query, gallery, query_pids=qp, query_camids=qc, **labels, protocol=protocol, distance=distance
        )
        for module, name, values in SIZES:
            monkeypatch.setattr(module, name, rng.choice(values).item())
        got = match_ranks(
            inputs.query,
            inputs.features,
            inputs.pairs,
            distance,
            route=str(rng.choice(ROUTES)),
            block_rows=int(rng.choice([1 + g // 3, 64 + g // 2, 1000, 4000])),
        )
        expected = list(ranks_by_definition(rows[:q], rows[q:], qp, gp, qc, gc, distance, *rules))
        total += sum(map(len, expected))
        if [r.tolist() for r in got] != expected:
            wrong.append(seed)
    print(f"{rank_cases} cases, {total} ranks")
    assert wrong == []
    assert total > 100 * rank_cases


def first_block_unlike_the_rest(kind: str) -> tuple[np.ndarray, np.ndarray, str]:
    """(queries, gallery of which the first 64 rows say nothing of the others, distance)."""
    rng = np.random.default_rng(0)
    first, rest, query = np.zeros((64, 8)), rng.standard_normal((300, 8)), rng.standard_normal((20, 8))
    if kind == "closer than float32 has numbers for":
        first[:, 0], first[:, 1] = 1e10, 1e-30 * rng.integers(1, 50, 64)
    elif kind == "close, and the rest nearly so":
        first[:], rest = 1, np.ones((300, 8))
        first[:, 4] = 2.0**-69 * rng.integers(1, 3, 64)
        rest[:, 0] += 2.0**-10 * rng.uniform(-1, 1, 300)
    elif kind == "the rest below float32 when squared":
        first[:, 0] = np.tile([1, -1], 32)
        return query * 2.0**-72, np.concatenate([first, rest * 2.0**-72]), "euclidean"
    else:  # one odd row amid copies that are not quite
        first = rest[:1] + 1e-7 * rng.standard_normal((64, 8))
        first[0] = rng.standard_normal(8)
        rest = rest[:1] + 1e-7 * rng.standard_normal((300, 8))
    return query, np.concatenate([first, rest]), "cosine"


@pytest.mark.parametrize("route", sorted(set(ROUTES)))
@pytest.mark.parametrize(
    "kind",
    [
        "closer than float32 has numbers for",
        "close, and the rest nearly so",
        "the rest below float32 when squared",
        "one odd row",
    ],
)
def test_a_frame_put_amid_strange_rows_changes_no_rank(kind, route):
    query, gallery, distance = first_block_unlike_the_rest(kind)
    query, gallery = np.float32(query), np.float32(gallery)
    qp, gp = np.arange(20) % 7 + 1, np.random.default_rng(1).integers(1, 9, len(gallery))
    inputs = check_inputs(query, gallery, query_pids=qp, gallery_pids=gp, protocol="no_camera", distance=distance)
    got = match_ranks(inputs.query, inputs.features, inputs.pairs, distance, route=route, block_rows=64)
    cameras = np.zeros(20), np.zeros(len(gallery))
    expected = ranks_by_definition(query, gallery, qp, gp, *cameras, distance, same_camera=False, whole_camera=False)
    assert [ranks.tolist() for ranks in got] == list(expected)


@pytest.mark.parametrize("far", [0, 1, 8, 9])
def test_some_rows_far_from_all_the_others(far):
    rng = np.random.default_rng(far)
    query, gallery = rng.standard_normal((60, 16)), rng.standard_normal((900, 16))
    query[:1] *= 1e6
    gallery[rng.choice(900, far, replace=False)] *= 1e4
    qp, gp = np.arange(60) % 5 + 1, rng.integers(1, 6, 900)
    query, gallery = np.float32(query), np.float32(gallery)
    inputs = check_inputs(query, gallery, query_pids=qp, gallery_pids=gp, protocol="no_camera", distance="euclidean")
    got = match_ranks(inputs.query, inputs.features, inputs.pairs, "euclidean")
    cameras = np.zeros(60), np.zeros(900)
    expected = ranks_by_definition(query, gallery, qp, gp, *cameras, "euclidean", same_camera=False, whole_camera=False)
    assert [ranks.tolist() for ranks in got] == list(expected)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_processor_that_flushes_tiny_numbers(distance):
    rng = np.random.default_rng(0)
    rows = rng.integers(-1, 2, (512, 12)).astype(np.float32)
    gallery = np.concatenate([rows, -rows])  # about zero: many scores are exactly that
    query = rng.integers(-1, 2, (60, 12)).astype(np.float32)
    qp, gp = np.arange(60) % 20 + 1, rng.integers(1, 21, 1024)
    inputs = check_inputs(query, gallery, query_pids=qp, gallery_pids=gp, protocol="no_camera", distance=distance)
    try:
        if not torch.set_flush_denormal(True):
            pytest.skip("this processor cannot")
        got = match_ranks(inputs.query, inputs.features, inputs.pairs, distance)
    finally:
        torch.set_flush_denormal(False)
    cameras = np.zeros(60), np.zeros(1024)
    expected = ranks_by_definition(query, gallery, qp, gp, *cameras, distance, same_camera=False, whole_camera=False)
    assert [ranks.tolist() for ranks in got] == list(expected)
