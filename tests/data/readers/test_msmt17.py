from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.msmt17 import read
from reid.errors import UserError

LISTS = {
    "list_train.txt": ["0000/0000_000_01_0303morning_0015_0.jpg 0", "0001/0001_004_14_0302noon_0530_1.jpg 1"],
    "list_val.txt": ["0000/0000_029_07_0303afternoon_0011_0.jpg 0"],
    "list_query.txt": ["0000/0000_000_02_0303morning_0041_2.jpg 0"],
    "list_gallery.txt": ["0000/0000_003_12_0303noon_0100_0.jpg 0", "3059/3059_001_15_0302morning_0001_0.jpg 3059"],
}
FOLDERS = {"V1": ("MSMT17_V1", "train", "test"), "V2": ("MSMT17_V2", "mask_train_v2", "mask_test_v2")}


def written(folder: Path, version: str) -> Path:
    """The set in a version, with the lists of both parts."""
    top, train, test = FOLDERS[version]
    root = folder / top
    for name, lines in LISTS.items():
        part = train if name in ("list_train.txt", "list_val.txt") else test
        make(root / part, [line.split()[0] for line in lines])
        (root / name).write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(params=["V1", "V2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path, version: str) -> Path:
    return written(tmp_path, version)


def test_training_identities_are_as_listed_and_zero_is_a_person(root: Path, version: str) -> None:
    split = read(root, train_on="train+val")
    assert table(split.train) == [
        ("0000_000_01_0303morning_0015_0.jpg", 0, 1),
        ("0001_004_14_0302noon_0530_1.jpg", 1, 14),
        ("0000_029_07_0303afternoon_0011_0.jpg", 0, 7),
    ]
    assert split.name == f"msmt17 {version} (train+val)"
    assert {r.path.parts[-3] for r in split.train} == {FOLDERS[version][1]}


def test_people_of_the_test_lists_are_others_than_those_of_training(root: Path, version: str) -> None:
    split = read(root)
    assert table(split.query) == [("0000_000_02_0303morning_0041_2.jpg", 1041, 2)]
    assert [(r.pid, r.camid) for r in split.gallery] == [(1041, 12), (4100, 15)]  # 4,101 people in all
    assert {r.path.parts[-3] for r in split.query + split.gallery} == {FOLDERS[version][2]}


def test_validation_images_can_be_left_out_and_the_name_says_so(root: Path, version: str) -> None:
    split = read(root, train_on="train", name="mine")
    assert len(split.train) == 2
    assert split.name == f"mine {version} (train)"


@pytest.mark.parametrize(("train_on", "images"), [("train", "2 images"), ("train+val", "3 images")])
def test_published_counts_follow_what_is_trained_on(
    root: Path, train_on: str, images: str, caplog: pytest.LogCaptureFixture
) -> None:
    read(root, train_on=train_on)
    published = {"train": 30248, "train+val": 32621}[train_on]
    assert f"train has {images} of 2 identities instead of {published} of 1041" in caplog.text


def test_unknown_part_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.train_on=val is unknown: .*known are train, train\\+val"):
        read(root, train_on="val")


def test_wrong_level_is_hinted(root: Path, version: str) -> None:
    for place in (root.parent, root / FOLDERS[version][1]):
        with pytest.raises(UserError, match="did you mean") as caught:
            read(place)
        assert f"dataset.root={root}?" in str(caught.value)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dataset.root=.*nowhere is not a folder: .*train/ and test/"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", LISTS)
def test_missing_list_is_named(root: Path, name: str) -> None:
    (root / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing, which is part of the set: check dataset.root"):
        read(root, train_on="train+val")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LISTS["list_query.txt"] + ["0000/0000_000_02.jpg 0"], "list_query.txt, line 2: not like 0000/0000_000_01"),
        (["0000/0000_000_02_0303morning_0041_2.jpg"], "list_query.txt, line 1: not like"),
        (
            ["", "0009/0009_000_02_0303morning_0041_2.jpg 9"],
            "1 of its images are not there .*0009_000_02_0303morning_0041_2.jpg",
        ),
        (["", ""], "list_query.txt names no image"),
    ],
)
def test_damaged_list_is_told_with_its_line(root: Path, lines: list[str], message: str) -> None:
    (root / "list_query.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=message):
        read(root)
