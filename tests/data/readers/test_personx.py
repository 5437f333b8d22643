from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.personx import read
from reid.errors import UserError

PARTS = {
    "bounding_box_train": "0004_c{}s1_01.jpg",
    "query": "0001_c{}s1_32.jpg",
    "bounding_box_test": "0001_c{}s1_01.jpg",
}


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The set of 2019, a folder each background."""
    return make(
        tmp_path / "PersonX_v1",
        [
            f"{background}/{part}/{name.format(background)}"
            for background in range(1, 7)
            for part, name in PARTS.items()
        ],
    )


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    """The set of 2020."""
    return make(tmp_path / "personX", [f"{part}/{name.format(c)}" for c in (3, 12) for part, name in PARTS.items()])


def test_the_set_of_the_challenge(challenge: Path) -> None:
    split = read(challenge)
    assert table(split.train) == [("0004_c12s1_01.jpg", 4, 12), ("0004_c3s1_01.jpg", 4, 3)]
    assert table(split.query) == [("0001_c12s1_32.jpg", 1, 12), ("0001_c3s1_32.jpg", 1, 3)]
    assert [(r.pid, r.camid) for r in split.gallery] == [(1, 12), (1, 3)]
    assert split.name == "personx"


@pytest.mark.parametrize("backgrounds", [456, "456", "645"])
def test_backgrounds_of_the_first_set_are_its_cameras(first: Path, backgrounds: int | str) -> None:
    split = read(first, backgrounds=backgrounds)
    assert [(r.pid, r.camid) for r in split.train] == [(4, 4), (4, 5), (4, 6)]
    assert [(r.pid, r.camid) for r in split.query] == [(1, 4), (1, 5), (1, 6)]
    assert [(r.pid, r.camid) for r in split.gallery] == [(1, 4), (1, 5), (1, 6)]
    assert split.name == "personx (backgrounds 456)"
    assert split.root == first


def test_fewer_images_than_published_are_warned_of(
    challenge: Path, first: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read(challenge)
    assert "gallery has 2 images of 1 identities instead of 30816 of 856" in caplog.text
    read(first, backgrounds=12)
    assert "train has 2 images of 1 identities instead of 29520 of 410" in caplog.text  # 410 people x 36 x 2


@pytest.mark.parametrize("backgrounds", ["7", "4,5", 0, ""])
def test_unknown_backgrounds_are_refused(first: Path, backgrounds: int | str) -> None:
    with pytest.raises(UserError, match=f"dataset.backgrounds={backgrounds} must be digits from 1 to 6, as 456, or"):
        read(first, backgrounds=backgrounds)


def test_people_in_both_parts_are_warned_of(first: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(first, ["4/bounding_box_train/0003_c4s1_01.jpg", "5/query/0003_c5s1_01.jpg"])
    read(first, backgrounds=45)
    assert f"1 identities are in train and in query of {first} (first: 3)" in caplog.text


def test_missing_folders_are_told(first: Path) -> None:
    with pytest.raises(UserError, match="has no folder 'bounding_box_train'"):
        read(first)
    with pytest.raises(UserError, match=f"did you mean dataset.root={first}"):
        read(first.parent, backgrounds=12)
    (first / "5").rename(first / "x")
    with pytest.raises(UserError, match="has no folder '5': it must hold 4/ and 5/"):
        read(first, backgrounds=45)
