from pathlib import Path

import numpy as np
import pytest
from miniature import make, table

from reid.data.readers.veri776 import PUBLISHED, read
from reid.data.records import camids, pids, told
from reid.errors import UserError
from reid.evaluation import evaluate

FILES = [
    "image_train/0001_c001_00016450_0.jpg", "image_train/0001_c020_00016460_0.jpg",
    "image_query/0002_c002_00030600_0.jpg",
    "image_test/0002_c002_00030600_0.jpg", "image_test/0002_c002_00030605_1.jpg",
    "image_test/0002_c003_00084280_0.jpg", "image_test/0005_c003_00084290_0.jpg",
    "image_test/0005_c003_00084295_1.jpg",
]  # fmt: skip
TRACKS = [
    "0002_c002_00030 0002_c002_00030600_0.jpg 0002_c002_00030605_1.jpg ",
    "0002_c003_00084 0002_c003_00084280_0.jpg ",
    "0005_c003_00084 0005_c003_00084290_0.jpg 0005_c003_00084295_1.jpg ",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make(tmp_path / "VeRi", FILES)
    (root / "test_track.txt").write_text("\r\n".join(TRACKS) + "\r\n", newline="")
    return root


def test_vehicles_and_cameras_are_read_from_the_names(root: Path) -> None:
    split = read(root)
    assert table(split.train) == [("0001_c001_00016450_0.jpg", 1, 1), ("0001_c020_00016460_0.jpg", 1, 20)]
    assert table(split.query) == [("0002_c002_00030600_0.jpg", 2, 2)]
    assert [(r.pid, r.camid) for r in split.gallery] == [(2, 2), (2, 2), (2, 3), (5, 3), (5, 3)]
    assert split.name == "veri776"


def test_tracks_of_the_gallery_are_the_lines_of_the_list(root: Path) -> None:
    split = read(root)
    assert [r.track for r in split.gallery] == [1, 1, 2, 3, 3]
    assert {r.track for r in split.train + split.query} == {None}


def test_a_list_without_names_of_tracks_is_read_too(root: Path) -> None:
    bare = [line.split(maxsplit=1)[1] for line in TRACKS]
    (root / "test_track.txt").write_text("\n".join(bare))
    assert [r.track for r in read(root).gallery] == [1, 1, 2, 3, 3]


@pytest.mark.parametrize(("protocol", "rank"), [("market1501", 3), ("vehicle", 2)])
def test_images_or_tracks_are_ranked(root: Path, protocol: str, rank: int) -> None:
    """The query's own track is ignored; both images of the stranger are nearer than the match."""
    split = read(root)
    result = evaluate(
        np.array([[1.0, 0.0]]),
        np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 1.0], [1.0, 0.5], [1.0, 0.6]]),
        query_pids=pids(split.query),
        gallery_pids=pids(split.gallery),
        query_camids=camids(split.query),
        gallery_camids=camids(split.gallery),
        gallery_tracks=told(split.gallery, "track"),
        protocol=protocol,
    )
    assert result.match_ranks(0).tolist() == [rank]


def test_published_vehicles_and_images_are_those_of_the_paper() -> None:
    assert PUBLISHED["train"][0] + PUBLISHED["query"][0] == 776
    assert sum(images for _, images in PUBLISHED.values()) == 51_035


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "train has 2 images of 1 identities instead of 37778 of 576" in caplog.text


def test_missing_list_is_named(root: Path) -> None:
    (root / "test_track.txt").unlink()
    with pytest.raises(UserError, match="dataset.root=.*VeRi has no test_track.txt"):
        read(root)


def test_images_that_are_not_there_are_counted(root: Path) -> None:
    (root / "image_test/0002_c002_00030605_1.jpg").unlink()
    (root / "image_test/0005_c003_00084290_0.jpg").unlink()
    with pytest.raises(UserError, match=r"2 of the images in test_track.txt are not in .*first: 0002_c002_00030605_1"):
        read(root)


def test_images_without_a_track_are_counted(root: Path) -> None:
    make(root, ["image_test/0007_c001_00000001_0.jpg"])
    with pytest.raises(UserError, match=r"1 images of image_test are in no track .*\(first: 0007_c001_00000001_0.jpg"):
        read(root)


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "image_test"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


def test_foreign_naming_is_told(root: Path) -> None:
    (root / "image_query/0002_c002_00030600_0.jpg").rename(root / "image_query/car.jpg")
    with pytest.raises(UserError, match=r"named like 0001_c001_00016450_0.jpg \(first: car.jpg\)"):
        read(root)
