"""Metrics through an index: flat gives the exact ranks, an approximate one those of the lists it returned."""

import dataclasses

import numpy as np
import pytest
from reference import brute_force
from reference.cases import random_case

from reid.errors import UserError
from reid.evaluation import evaluate
from reid.evaluation.inputs import check_inputs
from reid.evaluation.search import GalleryIndex, IndexOptions, evaluate_index, ranks_through, search_report


def trained(people: int = 40, images: int = 6, seed: int = 0) -> tuple[tuple, dict]:
    """Arguments of ``evaluate``: clustered features with junk, distractors and three cameras."""
    rng = np.random.default_rng(seed)
    pids = np.concatenate([np.repeat(np.arange(1, people + 1), images), [-1] * 20, [0] * 20])
    features = rng.standard_normal((people + 2, 24))[pids] + 0.9 * rng.standard_normal((len(pids), 24))
    cameras = np.arange(len(pids)) % 3
    query = np.flatnonzero(pids > 0)[::5]
    labels = {"query_pids": pids[query], "gallery_pids": pids, "query_camids": cameras[query]}
    return (features[query], features), labels | {"gallery_camids": cameras}


@pytest.mark.parametrize("seed", range(100))
def test_flat_has_the_rank_of_every_match_but_among_ties(seed: int) -> None:
    """Every rank lies between those it would have if all that float32 cannot tell apart were behind it, and before."""
    case = random_case(seed)
    size = float(np.abs(case.gallery).max() + np.abs(case.query).max())
    if size > 1e15:  # "extreme": refused for euclidean, and no test of the arithmetic
        case = dataclasses.replace(case, distance="cosine")
    features, labels = case.arguments()
    inputs = check_inputs(*features, **labels, protocol="market1501")
    index = GalleryIndex.build(*features[1:], case.gallery_pids, distance=case.distance)
    ranks, missing = ranks_through(index, inputs, depth=len(case.gallery))
    assert missing == 0
    width = case.query.shape[1]
    doubt = 4 * (width + 8) * 2.0**-24 * (1 if case.distance == "cosine" else 4 * width * size**2)
    for found, row in zip(ranks, case.query_rows(), strict=True):
        q, pid, _, gallery, pids, _ = row
        order = brute_force.ranked_list(*row, distance=case.distance)
        scores = np.array([brute_force.score(q, gallery[j], case.distance) for j in order])
        matches = np.array([pids[j] == pid for j in order], dtype=bool)
        first = np.sort([1 + np.sum(scores > s + doubt) for s in scores[matches]])
        last = np.sort([np.sum(scores >= s - doubt) for s in scores[matches]])
        assert (np.diff(found) > 0).all()
        assert ((first <= found) & (found <= last)).all()


@pytest.mark.parametrize("seed", range(20))
def test_flat_equals_evaluate_ties_included_where_float32_is_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(-2, 3, (300, 3)).astype(np.float32)
    features = (images[:30], images)
    labels = {"query_pids": rng.integers(1, 30, 30), "gallery_pids": rng.integers(-1, 30, 300)}
    labels |= {"query_camids": rng.integers(0, 3, 30), "gallery_camids": rng.integers(0, 3, 300)}
    exact = evaluate(*features, **labels, distance="euclidean")
    found = evaluate_index("flat", *features, **labels, distance="euclidean").found
    for query in range(30):
        np.testing.assert_array_equal(found.match_ranks(query), exact.match_ranks(query))
    np.testing.assert_array_equal(found.ap, exact.ap)
    np.testing.assert_array_equal(found.inp, exact.inp)
    np.testing.assert_array_equal(found.cmc, exact.cmc)


def test_matches_not_found_take_the_last_places() -> None:
    """By hand: of 8 images one is junk; of 4 matches at places 1, 2, 5, 7 a list of 3 holds the first two."""
    gallery = np.array([[np.cos(a), np.sin(a)] for a in np.linspace(0, 1, 8)])
    pids = [1, -1, 1, 2, 3, 1, 2, 1]  # without junk: 1 1 2 3 1 2 1
    labels = {"query_pids": [1], "gallery_pids": pids, "protocol": "no_camera"}
    result = evaluate_index("flat", [[1.0, 0.0]], gallery, **labels, depth=3)
    assert result.exact.match_ranks(0).tolist() == [1, 2, 5, 7]
    assert result.found.match_ranks(0).tolist() == [1, 2, 6, 7]
    assert (result.matches, result.matches_not_found) == (4, 2)
    assert result.found.mAP == pytest.approx((1 + 1 + 3 / 6 + 4 / 7) / 4)
    assert result.lost("mAP") == pytest.approx((3 / 5 - 3 / 6) / 4)
    assert result.lost("rank-1") == 0
    assert result.to_dict()["matches_not_found"] == 2


@pytest.mark.parametrize(
    "options",
    [
        IndexOptions("hnsw", M=2, ef_construction=4, ef_search=10),
        IndexOptions("ivf_flat", nlist=16, nprobe=2),
        IndexOptions("ivf_pq", nlist=4, nprobe=2, pq_m=4),
        IndexOptions("sq8"),
        IndexOptions("fp16"),
    ],
)
def test_ranks_are_those_of_the_lists_the_index_returned(options: IndexOptions) -> None:
    features, labels = trained()
    index = GalleryIndex.build(features[1], labels["gallery_pids"], options=options)
    result = evaluate_index(index, *features, **labels)
    missed = 0
    for query, pid in enumerate(labels["query_pids"]):
        seen = [j for j in index.search(features[0][query : query + 1], result.depth)[1][0].tolist() if j >= 0]
        unseen = [j for j in range(len(features[1])) if j not in seen]
        rank, places, left = 0, [], 0
        for j in seen + unseen:
            other = labels["gallery_pids"][j] != pid
            same_camera = labels["gallery_camids"][j] == labels["query_camids"][query]
            if labels["gallery_pids"][j] == -1 or (not other and same_camera):
                continue
            rank += 1
            if not other and j in seen:
                places.append(rank)
            left += not other and j not in seen
        expected = places + list(range(rank - left + 1, rank + 1))
        assert result.found.match_ranks(query).tolist() == expected
        missed += left
    assert result.matches_not_found == missed
    assert (missed > 0) == (options.kind in ("hnsw", "ivf_flat", "ivf_pq"))


def test_blocks_of_queries_change_nothing(monkeypatch) -> None:
    features, labels = trained()
    whole = evaluate_index("hnsw", *features, **labels)
    monkeypatch.setattr("reid.evaluation.search.judged._LIST_BYTES", 1)
    single = evaluate_index("flat", *features, **labels)
    np.testing.assert_array_equal(single.exact.ap, whole.exact.ap)
    np.testing.assert_allclose(single.found.ap, single.exact.ap)


def test_the_table_shows_the_loss_and_names_the_index() -> None:
    features, labels = trained()
    result = evaluate_index(IndexOptions("ivf_flat", nlist=8, nprobe=1), *features, **labels)
    lines = str(result).splitlines()
    assert [line[:5] for line in lines[1:4]] == ["index", "exact", "lost "]
    assert lines[3].split()[1] == f"{result.lost('mAP'):.2%}"
    assert result.lost("mAP") == pytest.approx(result.exact.mAP - result.found.mAP)
    assert lines[5].endswith(f"cosine, ranked by FAISS ivf_flat nlist=8 nprobe=1 seed=0 to depth {result.depth}")
    assert result.to_dict()["protocol"] == lines[5]


def test_a_known_exact_evaluation_is_used() -> None:
    features, labels = trained()
    exact = evaluate(*features, **labels)
    assert evaluate_index("fp16", *features, **labels, exact=exact).exact is exact


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"index": "annoy"}, "'annoy' is unknown; choose one of flat"),
        ({"depth": 0}, "depth=0 asks for empty lists; give 1 or more"),
        ({"index": GalleryIndex.build(np.eye(24), range(24))}, "does not hold these 280 gallery images; build it"),
        ({"query_camids": None}, "query_camids missing"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    features, labels = trained()
    with pytest.raises(UserError, match=message):
        evaluate_index(
            **{"index": "flat", "query_features": features[0], "gallery_features": features[1]} | labels | arguments
        )


def test_the_report_measures_every_operating_point() -> None:
    features, labels = trained()
    indexes = ["flat", "sq8", IndexOptions("hnsw", ef_search=10), IndexOptions("hnsw", ef_search=280)]
    report = search_report(*features, **labels, indexes=indexes, ks=(1, 10, 280))
    flat, sq8, shallow, deep = report.rows
    assert flat.recall == {1: 1, 10: 1, 280: 1}
    assert deep.recall[10] == pytest.approx(1)
    assert shallow.build_seconds == deep.build_seconds  # one graph for both
    assert (flat.mAP_lost, deep.mAP_lost) == pytest.approx((0, 0), abs=1e-12)
    assert shallow.mAP_lost == pytest.approx(report.exact.mAP - shallow.mAP)
    # 24 dimensions: 4 bytes or 1 each, a row number of 8 and a small header; a graph has links besides
    assert 104 <= flat.bytes_per_vector < 105
    assert 32 <= sq8.bytes_per_vector < 34
    assert deep.bytes_per_vector > 104 + 2 * 32 * 4
    assert all(row.queries_per_second > 0 for row in report.rows)
    table = str(report).splitlines()
    assert table[0].startswith("| index | recall@1 | recall@10 | recall@280 | mAP lost, points |")
    assert table[4].startswith("| hnsw M=32 ef_construction=128 ef_search=10 | ")
    assert len({line.count("|") for line in table}) == 1


def test_recall_against_the_brute_force() -> None:
    features, labels = trained()
    options = IndexOptions("ivf_flat", nlist=16, nprobe=1)
    report = search_report(*features, **labels, indexes=[options], ks=(5,))
    rows = GalleryIndex.build(features[1], labels["gallery_pids"], options=options).search(features[0], 5)[1]
    unit = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in features]
    nearest = np.argsort(-(unit[0] @ unit[1].T), axis=1)[:, :5]
    expected = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(rows, nearest, strict=True)])
    assert report.rows[0].recall[5] == pytest.approx(expected)
    assert 0.1 < expected < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"indexes": []}, "indexes and ks must not be empty"), ({"ks": (0,)}, "k=0 of recall@k must be from 1 to")],
)
def test_wrong_reports(arguments: dict, message: str) -> None:
    features, labels = trained()
    with pytest.raises(UserError, match=message):
        search_report(*features, **labels, **arguments)
