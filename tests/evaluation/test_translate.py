"""Each row of the translation against the definition of its framework: by hand, and slowly on random cases.

That the definitions are the frameworks' own was checked with their code, outside this project; see each row.
"""

import json
import sys
from typing import Any

import numpy as np
import pytest
import torch
from reference import brute_force, frameworks
from reference.brute_force import average_precision, trapezoid_average_precision

from reid.errors import UserError
from reid.evaluation import PROTOCOLS, evaluate
from reid.evaluation.translate import Translation, translate

LAYUMI = "layumi/Person_reID_baseline_pytorch"
OLD = "open-reid, scikit-learn before 0.19"
LABELS = ("query_pids", "gallery_pids", "query_camids", "gallery_camids")
SAME_AS_OURS = ["fast-reid", "reid-strong-baseline"]


def problem(seed: int, queries: int = 12, images: int = 60, dimensions: int = 6) -> dict[str, Any]:
    """Identities 1-6 with queries of which 6 is not in the gallery; junk, distractors, others; rows of all lengths."""
    rng = np.random.default_rng(seed)
    query_pids = np.append(rng.integers(1, 7, queries - 2), [1, 6])
    gallery_pids = np.append(rng.choice([-1, 0, 1, 2, 3, 4, 5, 8, 9], images - 2), [1, 1])
    query_camids, gallery_camids = rng.integers(1, 4, queries), rng.integers(1, 4, images)
    gallery_camids[-2:] = [1, 2]
    centres = rng.standard_normal((11, dimensions))

    def rows(pids: np.ndarray) -> np.ndarray:
        normal = centres[pids + 1] + rng.standard_normal((len(pids), dimensions))
        return (normal * rng.uniform(0.3, 3, (len(pids), 1))).astype(np.float32)

    query, gallery = rows(query_pids), rows(gallery_pids)
    return {
        "query_features": query,
        "gallery_features": gallery,
        "query_pids": query_pids,
        "gallery_pids": gallery_pids,
        "query_camids": query_camids,
        "gallery_camids": gallery_camids,
        "query_flipped": query + rng.standard_normal(query.shape).astype(np.float32),
        "gallery_flipped": gallery + rng.standard_normal(gallery.shape).astype(np.float32),
    }


def without_flip(case: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if "flipped" not in name}


def all_ranks(case: dict[str, Any], distance: str, flip: bool = False, **rules: Any) -> list[list[int]]:
    query, gallery = case["query_features"], case["gallery_features"]
    if flip:
        query, gallery = query + case["query_flipped"], gallery + case["gallery_flipped"]
    pids, camids = case["gallery_pids"].tolist(), case["gallery_camids"].tolist()
    return [
        brute_force.match_ranks(q, pid, camid, gallery, pids, camids, distance=distance, **rules)
        for q, pid, camid in zip(query, case["query_pids"].tolist(), case["query_camids"].tolist(), strict=True)
    ]


def scores(
    ranks: list[list[int]], ap: Any = average_precision, top: Any = None, unmatched: bool = False
) -> list[float]:
    """[mAP, rank-1]; queries without a match count as zero or are left out."""
    top = top or (lambda r: float(r[0] == 1))
    count = len(ranks) if unmatched else sum(bool(r) for r in ranks)
    return [sum(f(r) for r in ranks if r) / count for f in (ap, top)]


def found(translation: Translation, framework: str) -> list[float]:
    return [translation[framework].mAP, translation[framework].rank_1]


@pytest.mark.parametrize("seed", range(12))
def test_rows_equal_their_definitions(seed: int) -> None:
    case = problem(seed)
    table = translate(**case, rerank=False)
    cosine, euclid = all_ranks(case, "cosine"), all_ranks(case, "euclidean")
    given = all_ranks(case, "euclidean", junk_pids=(), ignore_same_camera=False)
    flip = all_ranks(case, "cosine", flip=True)
    expected = {
        "ours": scores(cosine),
        **{name: scores(cosine) for name in SAME_AS_OURS},
        LAYUMI: scores(flip, trapezoid_average_precision, unmatched=True),
        "torchreid": scores(euclid),
        "open-reid": scores(euclid),
        "open-reid, allshots": scores(euclid, top=frameworks.allshots),
        OLD: scores(euclid, trapezoid_average_precision),
        "open-metric-learning": scores(given, lambda r: frameworks.mean_over_hits(r, 5), unmatched=True),
        "pytorch-metric-learning": scores(given),
        "pytorch-metric-learning, MAP@R": scores(given, frameworks.at_r),
    }
    for framework, values in expected.items():
        assert found(table, framework) == pytest.approx(values, rel=1e-12), framework
    assert table.rows[0].framework == "ours"
    assert {row.framework for row in table.rows} == {*expected, "centroids-reid, as meant", "centroids-reid"}


@pytest.mark.parametrize("seed", range(12))
def test_centroids(seed: int) -> None:
    """As meant, and with the code's slip: gallery image j has the camera at place j of query and gallery together."""
    case = problem(seed)
    table = translate(**without_flip(case), rerank=False)
    kept = case["gallery_pids"] != -1
    gallery, pids = case["gallery_features"][kept], case["gallery_pids"][kept].tolist()
    meant = case["gallery_camids"][kept].tolist()
    slipped = [*case["query_camids"].tolist(), *meant][: len(meant)]
    asked = case["query_pids"].tolist(), case["query_camids"].tolist()
    for framework, camids in {"centroids-reid, as meant": meant, "centroids-reid": slipped}.items():
        ranks = [
            frameworks.centroid_ranks(q, pid, camid, gallery, pids, camids, *asked)
            for q, pid, camid in zip(case["query_features"], *asked, strict=True)
        ]
        assert found(table, framework) == pytest.approx(scores(ranks), rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_reranked_rows_equal_their_definitions(seed: int) -> None:
    case = problem(seed, queries=8, images=62)
    table = translate(**case)
    kept = case["gallery_pids"] != -1
    half = {"dtype": np.float16, "distance": "cosine"}
    variants: dict[str, tuple[Any, dict[str, Any]]] = {
        "ours, re-ranked": (slice(None), {"distance": "cosine"}),
        "reid-strong-baseline, re-ranked": (kept, half),
        "TransReID, re-ranked": (kept, {"near": 51, "half": 26, "k2": 15, **half}),
        "fast-reid, re-ranked": (kept, {"near": 20, "half": 11, "u": "plain", "blend": "half", "distance": "cosine"}),
        "torchreid, re-ranked": (kept, {"u": "squared", "blend": "squared", "distance": "euclidean"}),
        f"{LAYUMI}, re-ranked": (slice(None), {"u": "squared", "blend": "squared", "distance": "cosine"}),
    }
    for framework, (images, variant) in variants.items():
        query, gallery = case["query_features"], case["gallery_features"]
        layumi = framework.startswith(LAYUMI)
        if layumi:
            query, gallery = query + case["query_flipped"], gallery + case["gallery_flipped"]
        distances = frameworks.reranked(query, gallery[images], **variant)
        pids, camids = case["gallery_pids"][images].tolist(), case["gallery_camids"][images].tolist()
        asked = case["query_pids"].tolist(), case["query_camids"].tolist()
        ranks = [
            frameworks.match_ranks(row, pid, camid, pids, camids)
            for row, pid, camid in zip(distances, *asked, strict=True)
        ]
        values = scores(ranks, trapezoid_average_precision if layumi else average_precision, unmatched=layumi)
        assert found(table, framework) == pytest.approx(values, abs=1e-9), framework


def test_worked_by_hand() -> None:
    """Query 1 meets 1, a stranger, 1 (ranks 1, 3); query 2 has no match; all lie within the first 5, in camera 2."""
    table = translate(
        [[1.0, 0], [1, 0]],
        [[10.0, 1], [10, 2], [10, 3]],
        query_pids=[1, 2],
        gallery_pids=[1, 3, 1],
        query_camids=[1, 1],
        gallery_camids=[2, 2, 2],
        rerank=False,
    )
    assert table["ours"].mAP == pytest.approx(5 / 6)
    assert found(table, LAYUMI) == pytest.approx([(1 + (1 / 2 + 2 / 3) / 2) / 2 / 2, 1 / 2])
    assert found(table, "open-metric-learning") == pytest.approx([5 / 6 / 2, 1 / 2])
    assert found(table, "pytorch-metric-learning, MAP@R") == pytest.approx([1 / 2, 1])
    assert found(table, "open-reid, allshots") == pytest.approx([5 / 6, 1 / 2])
    assert found(table, OLD) == pytest.approx([(1 + (1 / 2 + 2 / 3) / 2) / 2, 1])
    assert found(table, "centroids-reid, as meant") == [1, 1]


def test_lengths_matter_to_those_who_do_not_normalise() -> None:
    """The match points as the query does but is long; the stranger is near."""
    labels = {"query_pids": [1], "gallery_pids": [1, 2], "query_camids": [1], "gallery_camids": [2, 2]}
    table = translate([[1.0, 0]], [[9.0, 1], [1, 1]], **labels, rerank=False)
    assert [table[name].rank_1 for name in ("ours", "fast-reid", "reid-strong-baseline")] == [1, 1, 1]
    assert [table[name].rank_1 for name in ("torchreid", "open-reid", "pytorch-metric-learning")] == [0, 0, 0]


def test_ours_is_the_evaluation_under_its_protocol() -> None:
    case = without_flip(problem(3))
    for name in ("market1501", "no_camera"):
        table, result = translate(**case, protocol=name, rerank=False), evaluate(**case, protocol=name)
        assert found(table, "ours") == [result.mAP, result.rank(1)]
        assert table.stamp == PROTOCOLS[name].stamp
        assert found(table, "fast-reid") == pytest.approx(scores(all_ranks(case, "cosine")))


def test_rows_without_flip_say_so() -> None:
    case = problem(5)
    table, flipped = translate(**without_flip(case), rerank=False), translate(**case, rerank=False)
    assert "WITHOUT its flip" in table[LAYUMI].reason
    assert "flip added" in flipped[LAYUMI].reason
    plain = scores(all_ranks(case, "cosine"), trapezoid_average_precision, unmatched=True)
    assert found(table, LAYUMI) == pytest.approx(plain)
    rows = {row.framework for row, other in zip(table.rows, flipped.rows, strict=True) if row != other}
    assert rows == {LAYUMI}


def test_tensors_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = problem(6)
    expected = translate(**case)
    monkeypatch.setattr(sys.modules["reid.evaluation.translate.frameworks"], "_ROWS", 7)
    monkeypatch.setattr(sys.modules["reid.evaluation.translate.centroids"], "_QUERIES", 5)
    monkeypatch.setattr(sys.modules["reid.evaluation.translate.centroids"], "_CENTROIDS", 3)
    monkeypatch.setattr(sys.modules["reid.evaluation.translate.reranking"], "_QUERIES", 5)
    monkeypatch.setattr(sys.modules["reid.evaluation.translate.reranking"], "_TILE", 11)
    found = translate(**{name: torch.from_numpy(value) for name, value in case.items()})
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert [row.mAP, row.rank_1] == pytest.approx([other.mAP, other.rank_1], abs=1e-9), row.framework


def test_table_and_json() -> None:
    table = translate(**without_flip(problem(7)), rerank=False)
    lines = str(table).splitlines()
    assert lines[1].split()[:3] == [f"{table['ours'].mAP:.2%}", f"{table['ours'].rank_1:.2%}", "ours:"]
    assert len(lines) == 2 + 2 * len(table.rows)
    assert lines[-1].endswith(table.stamp)
    kept = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert kept["protocol"] == table.stamp
    assert kept["rows"][2]["framework"] == "torchreid"
    assert kept["rows"][2]["mAP"] == table["torchreid"].mAP
    checks = [row["checked"] for row in kept["rows"]]
    assert all("commit" in checked or checked.startswith("tested") for checked in checks)


def change(**values: Any) -> dict[str, Any]:
    return {**problem(0), **values}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (change(query_camids=None), "query_camids and gallery_camids under every protocol"),
        (change(gallery_flipped=None), "gallery_flipped is missing"),
        (change(query_flipped=np.ones((3, 6))), "query_flipped has shape .3, 6. for features of shape .12, 6."),
        (change(query_flipped=np.full((12, 6), np.nan)), "query_flipped: rows 0, 1, 2 and more hold"),
        (change(query_pids=np.full(12, 6)), "none of the 12 queries has a true match"),
        (change(protocol="cuhk03_single_shot"), "protocol cuhk03_single_shot has no translation"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        translate(**arguments)


def test_an_unknown_row_lists_the_known_ones() -> None:
    table = translate(**without_flip(problem(0)), rerank=False)
    with pytest.raises(UserError, match="'torchried' has no row; choose one of ours, layumi"):
        table["torchried"]
