from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.randperson import PUBLISHED, read
from reid.errors import UserError

FILES = [
    "000000_s00_c00_f000264.jpg", "000000_s00_c01_f001632.jpg", "000017_s10_c03_f3490001.jpg",
    "007999_s04_c00_f1070000.jpg", "readme.txt",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "randperson_subset", FILES)


def test_people_and_cameras_are_read_from_the_names(root: Path) -> None:
    """The cameras of each scene count from 0, so a camera is one only with its scene."""
    split = read(root)
    assert table(split.train) == [
        ("000000_s00_c00_f000264.jpg", 0, 0),
        ("000000_s00_c01_f001632.jpg", 0, 1),
        ("000017_s10_c03_f3490001.jpg", 17, 1003),
        ("007999_s04_c00_f1070000.jpg", 7999, 400),
    ]
    assert (split.query, split.gallery) == ((), ())
    assert (split.name, split.root) == ("randperson", root)
    assert read(root.parent).train == split.train


def test_names_as_first_published(tmp_path: Path) -> None:
    """The camera before the scene."""
    make(tmp_path, ["000012_c01_s07_f000264.jpg"])
    assert table(read(tmp_path).train) == [("000012_c01_s07_f000264.jpg", 12, 701)]


def test_nineteen_cameras_are_told_apart(tmp_path: Path) -> None:
    """Two in scenes 0 to 3 and 6, four in scene 10, one in the others."""
    cameras = {0: 2, 1: 2, 2: 2, 3: 2, 4: 1, 5: 1, 6: 2, 7: 1, 8: 1, 9: 1, 10: 4}
    make(tmp_path, [f"000001_s{s:02d}_c{c:02d}_f000264.jpg" for s, count in cameras.items() for c in range(count)])
    assert len({r.camid for r in read(tmp_path).train}) == sum(cameras.values()) == 19


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "train has 4 images of 3 identities instead of 132145 of 8000" in caplog.text
    assert set(PUBLISHED) == {"train"}


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dataset.root=.*none is not a folder: point it at randperson_subset/"):
        read(tmp_path / "none")
    with pytest.raises(UserError, match="holds no .jpg or .png image"):
        read(tmp_path)
    make(tmp_path, ["person.jpg"])
    with pytest.raises(UserError, match=r"named like 000000_s00_c00_f000264.jpg \(first: person.jpg\)"):
        read(tmp_path)
