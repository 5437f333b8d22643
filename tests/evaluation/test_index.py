"""A gallery index of every kind: what it finds, adds, removes, saves and refuses."""

import numpy as np
import pytest
import torch

from reid.evaluation.search import KINDS, GalleryIndex, IndexOptions

PEOPLE, IMAGES, WIDTH = 60, 10, 32


def people(seed=0):
    """Clustered features, their identities, and a query of every fourth image with a little noise."""
    rng = np.random.default_rng(seed)
    pids = np.repeat(np.arange(100, 100 + PEOPLE), IMAGES)
    features = rng.standard_normal((PEOPLE, WIDTH))[pids - 100] + 0.5 * rng.standard_normal((len(pids), WIDTH))
    return features, pids, features[::4] + 0.05 * rng.standard_normal((len(pids) // 4, WIDTH))


def brute_force(query, gallery, distance):
    """Scores [Q, G] in float64: cosine, or minus the squared distance."""
    if distance == "euclidean":
        return -((query[:, None] - gallery[None]) ** 2).sum(axis=2)
    return (query @ gallery.T) / np.outer(np.linalg.norm(query, axis=1), np.linalg.norm(gallery, axis=1))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_flat_finds_the_nearest_with_their_scores(distance: str) -> None:
    features, pids, query = people()
    scores, rows = GalleryIndex.build(features, pids, distance=distance).search(query, k=7)
    truth = brute_force(query, features, distance)
    assert (scores.dtype, rows.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(rows, np.argsort(-truth, axis=1)[:, :7])
    np.testing.assert_allclose(scores, -np.sort(-truth, axis=1)[:, :7], rtol=1e-4, atol=1e-4)


# Of 20 nearest, at default options; a random answer would score 0.03.
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize(
    ("kind", "recall"), [("fp16", 0.99), ("sq8", 0.97), ("hnsw", 0.99), ("ivf_flat", 0.7), ("ivf_pq", 0.5)]
)
def test_approximate_kinds_find_most_of_the_nearest(kind: str, recall: float, distance: str) -> None:
    features, pids, query = people()
    scores, rows = GalleryIndex.build(features, pids, options=kind, distance=distance).search(query, k=20)
    truth = brute_force(query, features, distance)
    nearest = np.argsort(-truth, axis=1)[:, :20]
    assert np.mean([len(set(a) & set(b)) / 20 for a, b in zip(rows, nearest, strict=True)]) >= recall
    assert (scores[:, 1:] <= scores[:, :-1]).all()


@pytest.mark.parametrize("kind", ["hnsw", "ivf_flat"])
def test_searching_everywhere_is_exact(kind: str) -> None:
    features, pids, query = people()
    index = GalleryIndex.build(features, pids, options=kind)
    if kind == "hnsw":
        index.tune(ef_search=len(features))
    else:
        index.tune(nprobe=index.options.nlist)
    nearest = np.argsort(-brute_force(query, features, "cosine"), axis=1)[:, :20]
    np.testing.assert_array_equal(index.search(query, k=20)[1], nearest)


@pytest.mark.parametrize("kind", KINDS)
def test_removed_people_are_never_found_and_the_others_keep_their_rows(kind: str) -> None:
    features, pids, _ = people()
    index = GalleryIndex.build(features, pids, options=kind)
    if "nprobe" in KINDS[kind]:
        index.tune(nprobe=index.options.nlist)
    gone = [100, 103, 159]
    assert index.remove(gone) == 3 * IMAGES
    assert len(index) == (PEOPLE - 3) * IMAGES
    scores, rows = index.search(features, k=len(index))  # the removed images themselves ask, too
    assert np.isfinite(scores).all()
    assert not np.isin(pids[rows], gone).any()
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.flatnonzero(~np.isin(pids, gone)), (len(rows), 1)))
    kept = ~np.isin(pids, gone)
    if kind not in ("ivf_pq", "sq8"):
        np.testing.assert_array_equal(rows[kept, 0], np.flatnonzero(kept))  # everyone is nearest to himself
    np.testing.assert_array_equal(index.labels(rows).pids, pids[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_images_added_later_are_found_under_new_rows(kind: str) -> None:
    features, pids, _ = people()
    index = GalleryIndex.build(features[:-20], pids[:-20], options=kind)
    index.remove([100])
    np.testing.assert_array_equal(index.add(features[-20:], pids[-20:]), np.arange(580, 600))
    np.testing.assert_array_equal(index.add(features[:IMAGES], pids[:IMAGES]), np.arange(600, 610))  # back again
    found = index.labels(index.search(np.concatenate([features[-20:], features[:IMAGES]]), k=1)[1]).pids[:, 0]
    np.testing.assert_array_equal(found, np.concatenate([pids[-20:], pids[:IMAGES]]))
    assert len(index) == 600


def test_hnsw_fills_its_lists_when_everyone_near_was_removed() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.standard_normal(WIDTH) + 0.01 * rng.standard_normal((500, WIDTH)), rng.standard_normal((40, WIDTH))
    index = GalleryIndex.build(
        np.concatenate([near, far]), [1] * 500 + [2] * 40, options=IndexOptions("hnsw", ef_search=4)
    )
    index.remove(1)
    _, rows = index.search(near[:5], k=20)
    assert ((rows >= 500) & (rows < 540)).all()


def test_compacting_hnsw_lets_the_removed_go_and_keeps_rows_and_results() -> None:
    features, pids, query = people()
    index = GalleryIndex.build(features, pids, options="hnsw")
    size = index.nbytes
    index.remove(np.arange(100, 130))
    before = index.search(query, k=5)
    assert index.nbytes == size
    index.compact()
    assert index.nbytes < 0.6 * size
    np.testing.assert_array_equal(index.search(query, k=5)[1], before[1])
    assert index.add(features[:1], [999]).tolist() == [600]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_index_comes_back_the_same(kind: str, distance: str, tmp_path) -> None:
    features, pids, query = people()
    names = [f"{i:04d}.jpg" for i in range(len(pids))]
    index = GalleryIndex.build(features, pids, pids % 6, names, options=kind, distance=distance)
    index.remove([101, 102])
    index.save(tmp_path / "made" / "gallery.reid")
    again = GalleryIndex.load(tmp_path / "made" / "gallery.reid")
    assert repr(again) == repr(index)
    for old, new in zip(index.search(query, k=9), again.search(query, k=9), strict=True):
        np.testing.assert_array_equal(new, old)
    rows = again.search(query, k=9)[1]
    labels = again.labels(rows)
    np.testing.assert_array_equal(labels.camids, np.where(rows < 0, -1, pids[rows] % 6))
    assert labels.names[0, 0] == names[rows[0, 0]]
    assert again.add(features[:1], [7], [1], ["new.jpg"]).tolist() == [len(pids)]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["gallery.reid"]


def test_lists_longer_than_the_gallery_end_in_nobody() -> None:
    index = GalleryIndex.build(np.eye(3), [1, 2, 3], [4, 4, 4], ["a", "b", "c"])
    scores, rows = index.search(np.eye(3)[:1], k=5)
    assert rows.tolist() == [[0, 1, 2, -1, -1]]
    assert scores.tolist() == [[1, 0, 0, -np.inf, -np.inf]]
    pids, camids, names = index.labels(rows)
    assert (pids[0].tolist(), camids[0].tolist()) == ([1, 2, 3, -1, -1], [4, 4, 4, -1, -1])
    assert names[0].tolist() == ["a", "b", "c", "", ""]


@pytest.mark.parametrize("kind", ["flat", "fp16", "hnsw"])
def test_an_empty_gallery_finds_nobody_and_can_be_filled(kind: str) -> None:
    index = GalleryIndex.build(np.empty((0, 4)), [], options=kind)
    assert len(index) == 0
    assert index.search(np.eye(4), k=2)[1].tolist() == [[-1, -1]] * 4
    index.add(np.eye(4), [1, 2, 3, 4])
    assert index.search(np.eye(4), k=1)[1].tolist() == [[0], [1], [2], [3]]
    index.remove([1, 2, 3, 4])
    assert index.search(np.eye(4), k=2)[1].tolist() == [[-1, -1]] * 4
    index.compact()
    assert index.search(np.eye(4), k=2)[1].tolist() == [[-1, -1]] * 4


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq"])
def test_the_same_seed_trains_the_same_index(kind: str) -> None:
    features, pids, query = people()
    one, two, other = (
        GalleryIndex.build(features, pids, options=IndexOptions(kind, nprobe=1, seed=seed)).search(query, k=5)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(one[1], other[1])


@pytest.mark.parametrize("form", [np.float16, np.float32, "torch", "strided"])
def test_features_of_any_form(form) -> None:
    features, pids, _ = people()
    given = {"torch": torch.tensor(features, requires_grad=True), "strided": np.asfortranarray(features)[::-1][::-1]}
    given = given[form] if isinstance(form, str) else features.astype(form)
    index = GalleryIndex.build(given, torch.from_numpy(pids))
    assert index.search(given, k=1)[1][:, 0].tolist() == list(range(len(pids)))


def test_ties_go_to_the_lower_row() -> None:
    index = GalleryIndex.build([[1, 0], [0, 1], [1, 0], [1, 0]], [1, 2, 3, 4])
    assert index.search([[1, 0]], k=4)[1].tolist() == [[0, 2, 3, 1]]
