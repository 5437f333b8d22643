"""One feature a track: the mean of its frames' embeddings."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from reference import brute_force

from reid.data.records import Record, Split
from reid.data.store import Images
from reid.errors import UserError
from reid.runs import tracks
from reid.runs.judge import Judging, judge, refuse_hopeless
from reid.runs.tracks import pool_tracks

TRACKS = [(5, 1, 7), (5, 1, 8), (5, 1, 7), (6, 1, 7), (5, 2, 7), (5, 1, 7), (6, 1, 7)]  # identity, camera, track


def images(labels: list[tuple[int, int, int]]) -> Images:
    pixels = tiny.images(len(labels))
    records = tuple(Record(Path(f"{i}.jpg"), pid, camid, track=t) for i, (pid, camid, t) in enumerate(labels))
    return Images(records, (), lambda index: pixels[index])


def means(labels: list[tuple[int, int, int]], features: np.ndarray) -> dict[tuple[int, int, int], np.ndarray]:
    """The mean of each track's features, of length 1, as a plain loop finds it."""
    found = {}
    for key in dict.fromkeys(labels):
        own = [features[i].astype(np.float64) for i, label in enumerate(labels) if label == key]
        mean = sum(own) / len(own)
        found[key] = mean / np.sqrt((mean * mean).sum())
    return found


def test_tracks_stand_in_the_order_of_their_first_frames_with_the_mean_of_all() -> None:
    features = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32) * [[1], [9], [3], [1], [1], [5], [2]]
    given = images(TRACKS)
    pooled, found = pool_tracks(given, features.astype(np.float32))
    assert [(r.path.name, r.pid, r.camid, r.track) for r in pooled.records] == [
        ("0.jpg", 5, 1, 7), ("1.jpg", 5, 1, 8), ("3.jpg", 6, 1, 7), ("4.jpg", 5, 2, 7),
    ]  # fmt: skip
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, list(means(TRACKS, features.astype(np.float32)).values()), rtol=1e-6)
    assert torch.equal(pooled.load(np.array([2, 0])), given.load(np.array([3, 0])))


def test_a_long_embedding_counts_for_more_by_hand() -> None:
    """(3, 0) and (0, 1): their mean points to (3, 1), that of their directions would to (1, 1)."""
    _, found = pool_tracks(images([(1, 1, 1)] * 2), np.array([[3, 0], [0, 1]], np.float32))
    np.testing.assert_allclose(found, [[3 / np.sqrt(10), 1 / np.sqrt(10)]], rtol=1e-6)


def test_a_track_of_embeddings_that_cancel_out_is_zero() -> None:
    _, found = pool_tracks(images([(1, 1, 1)] * 2), np.array([[3, 0], [-3, 0]], np.float32))
    assert found.tolist() == [[0, 0]]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """12 people in two cameras, a track of one to four pictures of noise in each, and junk."""
    rng, parts = np.random.default_rng(1), {"query": [], "gallery": []}
    for part, camera in (("query", 1), ("gallery", 2)):
        for pid in [*range(1, 13), *([-1] * (part == "gallery"))]:
            for frame in range(rng.integers(1, 5)):
                file = tmp_path / f"{part}_{pid}_{frame}.png"
                Image.fromarray(rng.integers(0, 256, (*tiny.SIZE, 3), dtype=np.uint8)).save(file)
                parts[part].append(Record(file, pid, camera, track=100 * camera + pid))
    return Split("noise", tmp_path, (), tuple(parts["query"]), tuple(parts["gallery"]))


def how(pool: str, **more: object) -> Judging:
    return Judging("market1501", "cosine", 5, torch.device("cpu"), None, False, pool=pool, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("flip", [False, True])
def test_judging_tracks_is_judging_their_mean_embeddings(split: Split, flip: bool) -> None:
    net = tiny.embedder().eval()
    found = judge(net, split, how("track", flip=flip))
    sides = []
    for records in (split.query, split.gallery):
        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack([np.array(Image.open(r.path)) for r in records])).permute(0, 3, 1, 2)
            features = net.unscaled(pixels) + (net.unscaled(pixels.flip(-1)) if flip else 0)
        sides.append(means([(r.pid, r.camid, r.track) for r in records], features.numpy()))
    query, gallery = sides
    pids, camids = [key[0] for key in gallery], [key[1] for key in gallery]
    np.testing.assert_allclose(found.query_features, list(query.values()), atol=1e-5)
    ranks = [
        brute_force.match_ranks(q, pid, camid, list(gallery.values()), pids, camids, distance="cosine")
        for (pid, camid, _), q in query.items()
    ]
    assert [found.evaluation.match_ranks(i).tolist() for i in range(12)] == ranks
    assert found.evaluation.mAP == pytest.approx(np.mean([brute_force.average_precision(r) for r in ranks]))
    assert [row[0] for row in found.per_query(split.root)] == [f"query_{pid}_0.png" for pid in range(1, 13)]


def test_the_stamp_says_it(split: Split) -> None:
    net = tiny.embedder()
    stamps = {pool: judge(net, split, how(pool)).evaluation.stamp for pool in ("none", "track")}
    assert stamps["track"] == f"{stamps['none']}, feature: mean over the track's frames"


def test_pictures_in_no_track_are_refused_before_training(split: Split) -> None:
    loose = Split("loose", split.root, (), split.query, (*split.gallery, Record(Path("x.jpg"), 1, 2)))
    refuse_hopeless(loose, "market1501", "cosine")
    with pytest.raises(UserError, match="eval.pool=track: not every query and gallery image is in a track"):
        refuse_hopeless(loose, "market1501", "cosine", "track")
    with pytest.raises(UserError, match="eval.pool=tracks is unknown: did you mean track"):
        refuse_hopeless(split, "market1501", "cosine", "tracks")


def test_examples() -> None:
    assert doctest.testmod(tracks) == (0, 1)
