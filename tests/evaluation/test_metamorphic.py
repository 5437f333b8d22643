"""What may be done to a problem without a number moving, or with one moving one way only."""

import numpy as np
import pytest

from reid.evaluation import PROTOCOLS, Rerank, evaluate

DISTANCES = ["cosine", "euclidean"]


def problem(seed: int, distance: str) -> dict:
    rng = np.random.default_rng(seed)
    q, g = int(rng.integers(2, 20)), int(rng.integers(30, 300))
    rows = rng.standard_normal((q + g, int(rng.choice([3, 16, 64])))).astype(np.float32)
    gallery_pids = rng.integers(-1, 9, g)
    gallery_pids[:2] = 1
    return {
        "query_features": rows[:q],
        "gallery_features": rows[q:],
        "query_pids": np.append(rng.integers(1, 9, q - 1), 1),
        "gallery_pids": gallery_pids,
        "query_camids": np.append(rng.integers(0, 3, q - 1), 5),
        "gallery_camids": rng.integers(0, 3, g),
        "distance": distance,
    }


def ranks(case: dict, **changes) -> list[list[int]]:
    result = evaluate(**{**case, **changes})
    return [result.match_ranks(i).tolist() for i in range(result.queries)]


def gallery_part(case: dict, index: np.ndarray) -> dict:
    return {name: case[name][index] for name in ("gallery_features", "gallery_pids", "gallery_camids")}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("seed", range(15))
def test_what_changes_nothing(seed: int, distance: str) -> None:
    case, rng = problem(seed, distance), np.random.default_rng(seed)
    expected = ranks(case)
    count = len(case["gallery_pids"])
    assert ranks(case, **gallery_part(case, rng.permutation(count))) == expected

    junk = case["query_features"][rng.integers(0, len(case["query_features"]), 50)]  # as near as can be
    more = {
        "gallery_features": np.concatenate([case["gallery_features"], junk]),
        "gallery_pids": np.append(case["gallery_pids"], np.full(50, -1)),
        "gallery_camids": np.append(case["gallery_camids"], np.full(50, 1)),
    }
    assert ranks(case, **gallery_part(case | more, rng.permutation(count + 50))) == expected

    stream = dict.fromkeys(("gallery_pids", "gallery_camids"))
    for cuts in ([1], [count // 2], sorted(set(rng.integers(1, count, 6).tolist()))):
        blocks = [gallery_part(case, part) for part in np.split(np.arange(count), cuts)]
        tuples = [tuple(block.values()) for block in blocks]
        assert ranks(case, gallery_features=tuples, **stream) == expected

    if distance == "cosine":
        for side in ("query_features", "gallery_features"):
            scale = 2.0 ** rng.integers(-20, 20, (len(case[side]), 1)).astype(np.float32)  # exact, so no tie is made
            assert ranks(case, **{side: case[side] * scale}) == expected
    else:
        shift = np.float32(2.0) * np.ones(case["query_features"].shape[1], np.float32)
        whole = {side: np.rint(8 * case[side]) for side in ("query_features", "gallery_features")}
        assert ranks(case, **{side: rows + shift for side, rows in whole.items()}) == ranks(case, **whole)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("seed", range(15))
def test_a_distractor_never_raises_average_precision(seed: int, distance: str) -> None:
    case, rng = problem(seed, distance), np.random.default_rng(seed)
    before = evaluate(**case)
    for rows in (rng.standard_normal((5, case["query_features"].shape[1])), case["query_features"][:3]):
        after = evaluate(
            **case
            | {
                "gallery_features": np.concatenate([case["gallery_features"], rows]).astype(np.float32),
                "gallery_pids": np.append(case["gallery_pids"], np.zeros(len(rows), int)),
                "gallery_camids": np.append(case["gallery_camids"], np.ones(len(rows), int)),
            }
        )
        matched = ~np.isnan(before.ap)
        assert (after.ap[matched] <= before.ap[matched]).all()
        assert (after.inp[matched] <= before.inp[matched]).all()
        assert (after.cmc[:10] <= before.cmc[:10]).all()


def test_a_match_in_first_place_never_lowers_it() -> None:
    case = problem(3, "cosine")
    before = evaluate(**case, protocol="no_camera")
    after = evaluate(
        **case
        | {
            "gallery_features": np.concatenate([case["query_features"][:1], case["gallery_features"]]),
            "gallery_pids": np.append(case["query_pids"][:1], case["gallery_pids"]),
            "gallery_camids": np.append([9], case["gallery_camids"]),
        },
        protocol="no_camera",
    )
    assert after.ap[0] >= before.ap[0]
    assert after.match_ranks(0)[0] == 1


def test_lambda_one_re_ranks_nothing() -> None:
    case = problem(5, "cosine")
    assert ranks(case, rerank=Rerank(lambda_value=1.0)) == ranks(case)


def test_every_image_protocol_is_the_same_where_nothing_is_ignored() -> None:
    case = problem(7, "euclidean") | {"query_camids": np.full(len(problem(7, "euclidean")["query_pids"]), 77)}
    same = [name for name in PROTOCOLS if name in ("market1501", "no_camera", "cross_camera_only")]
    found = [ranks(case, protocol=name) for name in same]
    assert found[0] == found[1] == found[2]
