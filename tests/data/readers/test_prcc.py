from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.prcc import PUBLISHED, read
from reid.data.records import camids, pids, told
from reid.errors import UserError
from reid.evaluation.labels import Labels
from reid.evaluation.protocols import PROTOCOLS

FILES = [
    "rgb/train/001/A_cropped_rgb001.jpg", "rgb/train/001/C_cropped_rgb012.jpg", "rgb/train/002/B_cropped_rgb001.jpg",
    "rgb/val/001/A_cropped_rgb002.jpg",
    "rgb/test/A/003/cropped_rgb001.jpg", "rgb/test/A/004/cropped_rgb001.jpg",
    "rgb/test/B/003/cropped_rgb002.jpg", "rgb/test/C/003/cropped_rgb003.jpg", "rgb/test/C/004/cropped_rgb004.jpg",
    "rgb/test/Thumbs.db", "rgb/train/Thumbs.db", "sketch/train/001/A_cropped_rgb001.jpg",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "prcc", FILES)


def test_the_other_clothes_of_camera_c_are_searched_in_a(root: Path) -> None:
    split = read(root)
    assert table(split.query) == [("cropped_rgb003.jpg", 3, 3), ("cropped_rgb004.jpg", 4, 3)]
    assert table(split.gallery) == [("cropped_rgb001.jpg", 3, 1), ("cropped_rgb001.jpg", 4, 1)]
    assert {r.clothes for r in split.query} == {2}
    assert {r.clothes for r in split.gallery} == {1}
    assert split.name == "prcc (cloth_changing)"


def test_the_same_clothes_of_camera_b_are_searched_in_a(root: Path) -> None:
    split = read(root, setting="same_clothes")
    assert table(split.query) == [("cropped_rgb002.jpg", 3, 2)]
    assert split.gallery == read(root).gallery
    assert split.query[0].clothes == split.gallery[0].clothes
    assert split.name == "prcc (same_clothes)"


def test_training_people_wear_one_outfit_in_a_and_b_and_another_in_c(root: Path) -> None:
    assert [(r.path.name, r.pid, r.camid, r.clothes) for r in read(root).train] == [
        ("A_cropped_rgb001.jpg", 1, 1, 1), ("C_cropped_rgb012.jpg", 1, 3, 2), ("B_cropped_rgb001.jpg", 2, 2, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("setting", ["cloth_changing", "same_clothes"])
@pytest.mark.parametrize("protocol", ["market1501", "cuhk03_single_shot"])
def test_nothing_is_ignored_in_either_setting(root: Path, setting: str, protocol: str) -> None:
    split = read(root, setting=setting)
    sides = (Labels(pids(p), camids(p), clothes=told(p, "clothes")) for p in (split.query, split.gallery))
    match, junk = PROTOCOLS[protocol].judge(*sides)
    assert match.any(axis=1).all()
    assert not junk.any()


def test_published_images_are_those_of_the_paper() -> None:
    """33,698 images, of which 5,002 are for validation and those of camera B are queries in the other setting."""
    changing, same = PUBLISHED["cloth_changing"], PUBLISHED["same_clothes"]
    assert sum(images for _, images in changing.values()) + same["query"][1] + 5_002 == 33_698
    assert changing["train"][0] + changing["query"][0] == 221


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root, setting="same_clothes")
    assert "query has 1 images of 1 identities instead of 3543 of 71" in caplog.text


def test_unknown_setting_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.setting=same_cloth is unknown: did you mean same_clothes"):
        read(root, setting="same_cloth")


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "rgb"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


@pytest.mark.parametrize("folder", ["train", "test/A", "test/C"])
def test_missing_part_is_named(root: Path, folder: str) -> None:
    (root / "rgb" / folder).rename(root / "elsewhere")
    with pytest.raises(UserError, match=f"rgb/{folder} is missing, which is part of the set"):
        read(root)


def test_folder_without_people_is_named(root: Path) -> None:
    (root / "rgb/test/C/003").rename(root / "rgb/test/C/x")
    (root / "rgb/test/C/004").rename(root / "rgb/test/C/y")
    with pytest.raises(UserError, match="test/C holds no folder of a person, such as 001"):
        read(root)


def test_foreign_naming_is_told(root: Path) -> None:
    (root / "rgb/train/002/B_cropped_rgb001.jpg").rename(root / "rgb/train/002/b.jpg")
    with pytest.raises(UserError, match=r"train/002: none .* named like A_cropped_rgb001.jpg \(first: b.jpg\)"):
        read(root)
