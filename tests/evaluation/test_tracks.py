"""Tracks: their numbers, and ties that only the definition decides."""

import numpy as np
import pytest

from reid.errors import UserError
from reid.evaluation import Labels, evaluate
from reid.evaluation.ranking.tracks import track_numbers


def test_numbers_follow_the_first_image_of_each_track() -> None:
    labels = Labels(np.array([5, 3, 5, 3, 3, 4]), tracks=np.array([9, 9, 9, 2, 9, 2]))
    assert track_numbers(labels).tolist() == [0, 1, 0, 2, 1, 3]


def test_a_track_of_two_cameras_is_refused() -> None:
    labels = Labels(np.array([5, 5]), camids=np.array([1, 2]), tracks=np.array([9, 9]))
    with pytest.raises(UserError, match="gallery_tracks: track 9 of identity 5 has images of cameras 1 and 2"):
        track_numbers(labels)


@pytest.mark.parametrize(("pids", "rank"), [([1, 2, 3, 2, 1], 1), ([2, 1, 3, 1, 2], 2), ([2, 3, 1, 3, 2], 3)])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_tie_goes_to_the_track_that_comes_first(pids: list[int], rank: int, distance: str) -> None:
    """Every track has the same best image; where it stands in the track does not matter."""
    gallery = np.array([[0.0, 1], [1, 0.3], [1, 0.3], [1, 0.3], [1, 0.3]])
    labels = {"query_pids": [1], "gallery_pids": pids, "query_camids": [1], "gallery_camids": [2] * 5}
    result = evaluate([[1.0, 0]], gallery, **labels, gallery_tracks=[0] * 5, protocol="vehicle", distance=distance)
    assert result.match_ranks(0).tolist() == [rank]


def test_several_tiles_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features = rng.integers(-1, 2, (70, 8)).astype(np.float32)  # many ties
    labels = {
        "query_pids": rng.integers(1, 5, 10),
        "gallery_pids": rng.integers(1, 6, 60),
        "query_camids": rng.integers(1, 3, 10),
        "gallery_camids": np.full(60, 3),
        "gallery_tracks": rng.integers(0, 3, 60),
        "protocol": "vehicle",
    }
    whole = evaluate(features[:10], features[10:], **labels)
    monkeypatch.setattr("reid.evaluation.ranking.tracks._NUMBERS", 40)
    parts = evaluate(features[:10], features[10:], **labels)
    assert [parts.match_ranks(i).tolist() for i in range(10)] == [whole.match_ranks(i).tolist() for i in range(10)]
