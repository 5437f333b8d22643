import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mars import Track, make_mars

from reid.data.readers.mars import PUBLISHED, read
from reid.errors import UserError

TRAIN: list[Track] = [("0001", 1, 3), ("0001", 2, 1), ("0003", 6, 2)]
TEST: list[Track] = [
    ("00-1", 1, 2), ("0000", 3, 2), ("0002", 1, 2), ("0002", 1, 1), ("0002", 4, 3), ("0004", 2, 2), ("0004", 5, 1),
]  # fmt: skip
QUERIES = [4, 5]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_mars(tmp_path / "MARS", TRAIN, TEST, QUERIES)


def told(records: tuple) -> list[tuple[str, int, int, int | None]]:
    return [(str(r.path.relative_to(r.path.parents[2])), r.pid, r.camid, r.track) for r in records]


def test_frames_have_the_person_the_camera_and_the_row_of_their_track(root: Path) -> None:
    split = read(root)
    assert told(split.train) == [
        ("bbox_train/0001/0001C1T0001F001.jpg", 1, 1, 1), ("bbox_train/0001/0001C1T0001F002.jpg", 1, 1, 1),
        ("bbox_train/0001/0001C1T0001F003.jpg", 1, 1, 1), ("bbox_train/0001/0001C2T0001F001.jpg", 1, 2, 2),
        ("bbox_train/0003/0003C6T0001F001.jpg", 3, 6, 3), ("bbox_train/0003/0003C6T0001F002.jpg", 3, 6, 3),
    ]  # fmt: skip
    assert told(split.query) == [
        *[(f"bbox_test/0002/0002C4T0001F00{i}.jpg", 2, 4, 5) for i in (1, 2, 3)],
        *[(f"bbox_test/0004/0004C2T0001F00{i}.jpg", 4, 2, 6) for i in (1, 2)],
    ]
    assert told(split.gallery)[:7] == [
        *[(f"bbox_test/00-1/00-1C1T0001F00{i}.jpg", -1, 1, 1) for i in (1, 2)],
        *[(f"bbox_test/0000/0000C3T0001F00{i}.jpg", 0, 3, 2) for i in (1, 2)],
        *[(f"bbox_test/0002/0002C1T0001F00{i}.jpg", 2, 1, 3) for i in (1, 2)],
        ("bbox_test/0002/0002C1T0002F001.jpg", 2, 1, 4),
    ]
    assert (split.name, split.root) == ("mars", root)
    assert all(r.path.is_file() for r in split.train + split.query + split.gallery)


def test_the_queries_stand_in_the_gallery_unless_asked(root: Path) -> None:
    assert [r.track for r in read(root).gallery] == [1, 1, 2, 2, 3, 3, 4, 5, 5, 5, 6, 6, 7]
    apart = read(root, queries_in_gallery=False)
    assert [r.track for r in apart.gallery] == [1, 1, 2, 2, 3, 3, 4, 7]
    assert apart.query == read(root).query
    assert apart.name == "mars (queries not in the gallery)"


def test_a_few_frames_of_each_track_are_spread_over_it(tmp_path: Path) -> None:
    root = make_mars(tmp_path, [("0001", 1, 9), ("0001", 2, 2)], [("0002", 1, 4), ("0002", 2, 1)], [0])
    few = read(root, frames=3)
    assert [r.path.name[-8:-4] for r in few.train] == ["F001", "F005", "F009", "F001", "F002"]
    assert [r.track for r in few.train] == [1, 1, 1, 2, 2]
    assert few.name == "mars (3 frames a track)"
    assert [r.path.name[-8:-4] for r in read(root, frames=1).train] == ["F001", "F001"]
    assert read(root, frames=9).train == read(root).train
    with pytest.raises(UserError, match="dataset.frames=0 must be at least 1, or null"):
        read(root, frames=0)


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root, frames=1)
    assert caplog.text == ""
    read(root)
    assert "train has 6 images of 2 identities instead of 509914 of 625" in caplog.text
    assert sum(images for part, (_, images) in PUBLISHED.items() if part != "query") == 1_191_003  # as in the paper


def rows(part: str, table: list[list[int]]) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        from scipy.io import savemat

        savemat(root / "info" / f"tracks_{part}_info.mat", {"x": np.array(table)})

    return spoil


def queries(*numbers: int) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        from scipy.io import savemat

        savemat(root / "info" / "query_IDX.mat", {"query_IDX": np.array([numbers])})

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda root: (root / "info/test_name.txt").unlink(), "test_name.txt is missing, which is part of the set"),
        (lambda root: (root / "info/query_IDX.mat").unlink(), "query_IDX.mat is missing.*MARS-evaluation has it"),
        (lambda root: (root / "bbox_test/0002/0002C1T0002F001.jpg").unlink(),
         "test_name.txt: 1 of its frames are not in .*bbox_test .first: 0002C1T0002F001.jpg"),
        (rows("train", [[1, 3, 1, 1], [4, 7, 1, 2]]), "tracks_train_info.mat, row 2: frames 4 to 7 are not among"),
        (rows("test", [[0, 2, 1, 1]]), "tracks_test_info.mat, row 1: frames 0 to 2 are not among the 13"),
        (rows("test", [[1, 2, 1]]), "tracks_test_info.mat must hold four columns: first frame, last frame, person"),
        (queries(1, 8), "query_IDX.mat names track 8, but there are 7"),
        (lambda root: (root / "info/query_IDX.mat").write_text("1 2"), "query_IDX.mat is not a .mat file with one"),
        (lambda root: (root / "bbox_train").rename(root / "x"), "has no folder 'bbox_train'"),
    ],
)  # fmt: skip
def test_what_is_missing_or_damaged_is_named(root: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(root)
    with pytest.raises(UserError, match=says):
        read(root)


def test_without_scipy_the_command_that_installs_it_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(UserError, match=r"tracks_train_info.mat is read by scipy, which is not installed: pip install"):
        read(root)
