from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.ltcc import PUBLISHED, read
from reid.data.records import camids, pids, told
from reid.errors import UserError
from reid.evaluation.labels import Labels
from reid.evaluation.protocols import PROTOCOLS

FILES = [
    "train/001_2_c12_015833.png", "train/000_1_c11_015833.png", "train/Thumbs.db",
    "query/094_1_c9_004336.png",
    "test/094_1_c10_004336.png", "test/094_2_c10_004337.png", "test/094_2_c9_004338.png", "test/095_1_c3_004339.png",
    "info/train.txt",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "LTCC_ReID", FILES)


def test_person_outfit_and_camera_are_read_from_the_names(root: Path) -> None:
    split = read(root)
    assert table(split.train) == [("000_1_c11_015833.png", 0, 11), ("001_2_c12_015833.png", 1, 12)]
    assert [r.clothes for r in split.train] == [1, 2]
    assert [(r.pid, r.camid, r.clothes) for r in split.query] == [(94, 9, 1)]
    assert [(r.pid, r.camid, r.clothes) for r in split.gallery] == [(94, 10, 1), (94, 10, 2), (94, 9, 2), (95, 3, 1)]
    assert split.name == "ltcc"


@pytest.mark.parametrize(
    ("protocol", "matches"),
    [("cloth_changing", [False, True, False, False]), ("msmt17", [True, True, False, False])],
)
def test_what_is_to_be_found_in_either_setting(root: Path, protocol: str, matches: list[bool]) -> None:
    split = read(root)
    sides = (Labels(pids(p), camids(p), clothes=told(p, "clothes")) for p in (split.query, split.gallery))
    assert PROTOCOLS[protocol].judge(*sides)[0].tolist() == [matches]


def test_published_images_are_those_of_the_authors_page() -> None:
    assert sum(images for _, images in PUBLISHED.values()) == 17_119
    assert PUBLISHED["train"][0] + PUBLISHED["query"][0] == 152


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "gallery has 4 images of 2 identities instead of 7050 of 75" in caplog.text


def test_people_in_both_parts_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(make(root, ["train/094_1_c1_000001.png"]))
    assert f"1 identities are in train and in query of {root}" in caplog.text


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "query"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


@pytest.mark.parametrize("folder", ["train", "query", "test"])
def test_missing_part_is_named(root: Path, folder: str) -> None:
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(UserError, match=f"has no folder '{folder}': it must hold train/, query/ and test/"):
        read(root)


def test_foreign_naming_is_told(root: Path) -> None:
    (root / "query/094_1_c9_004336.png").rename(root / "query/094_c9.png")
    with pytest.raises(UserError, match=r"named like 000_1_c6_001007.png \(first: 094_c9.png\)"):
        read(root)
