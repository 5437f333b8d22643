from pathlib import Path

import pytest

from reid.data.readers.market1501 import read
from reid.data.records import labels
from reid.errors import UserError

FILES = {
    "bounding_box_train": [
        "0007_c3s1_000451_03.jpg", "0002_c1s1_000776_01.jpg", "0002_c6s2_000801_02.jpg", "-1_c2s1_000401_05.jpg",
        "0007_c1s1_001051_01.PNG",
    ],
    "query": ["0001_c1s1_001051_00.jpg", "0001_c2s1_000301_00.jpg"],
    "bounding_box_test": [
        "0001_c3s1_000551_00.jpg", "-1_c1s1_000401_03.jpg", "0000_c1s1_000151_01.jpg", "0000_c6s3_093942_04.jpeg",
    ],
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A miniature set with the published naming, and the litter that real copies have."""
    root = tmp_path / "Market-1501-v15.09.15"
    for folder, names in FILES.items():
        (root / folder).mkdir(parents=True)
        for name in names:
            (root / folder / name).write_bytes(b"")
        (root / folder / "Thumbs.db").write_bytes(b"")
    (root / "readme.txt").write_text("")
    return root


def table(records: tuple) -> list[tuple[str, int, int]]:
    return [(r.path.name, r.pid, r.camid) for r in records]


def test_identities_and_cameras_are_read_from_the_names(root: Path) -> None:
    split = read(root)
    assert table(split.train) == [
        ("0002_c1s1_000776_01.jpg", 2, 1),
        ("0002_c6s2_000801_02.jpg", 2, 6),
        ("0007_c1s1_001051_01.PNG", 7, 1),
        ("0007_c3s1_000451_03.jpg", 7, 3),
    ]
    assert table(split.query) == [("0001_c1s1_001051_00.jpg", 1, 1), ("0001_c2s1_000301_00.jpg", 1, 2)]
    assert split.root == root
    assert all(r.path.is_file() for r in split.train + split.query + split.gallery)


def test_junk_is_never_trained_on_and_stays_in_the_gallery_with_the_distractors(root: Path) -> None:
    split = read(root)
    assert -1 not in {r.pid for r in split.train}
    assert sorted(r.pid for r in split.gallery) == [-1, 0, 0, 1]


def test_labels_follow_the_sorted_identities(root: Path) -> None:
    assert labels(read(root).train).tolist() == [0, 0, 1, 1]


def test_name_of_the_set(root: Path) -> None:
    assert read(root).name == "market1501"
    assert read(str(root), name="mine").name == "mine"


def test_home_folder_is_understood(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(read(f"~/{root.name}").train) == 4


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset.root=.*nowhere is not a folder: .* bounding_box_train/"):
        read(tmp_path / "nowhere")


def test_one_level_too_high_is_hinted(root: Path) -> None:
    with pytest.raises(UserError, match="did you mean") as caught:
        read(root.parent)
    assert f"dataset.root={root}?" in str(caught.value)


def test_one_level_too_low_is_hinted(root: Path) -> None:
    with pytest.raises(UserError, match="did you mean") as caught:
        read(root / "query")
    assert f"dataset.root={root}?" in str(caught.value)


@pytest.mark.parametrize("folder", FILES)
def test_missing_part_is_named(root: Path, folder: str) -> None:
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(UserError, match=f"has no folder '{folder}': it must hold bounding_box_train/"):
        read(root)


@pytest.mark.parametrize("folder", FILES)
def test_empty_part_is_named(root: Path, folder: str) -> None:
    for file in (root / folder).iterdir():
        file.unlink()
    with pytest.raises(UserError, match=f"{folder} holds no .jpg or .png image"):
        read(root)


def test_foreign_naming_is_told_with_an_example(root: Path) -> None:
    for i, file in enumerate(sorted((root / "query").glob("*.jpg"))):
        file.rename(root / "query" / f"person{i}.jpg")
    with pytest.raises(UserError, match=r"query: none of its 2 images is named like .*\(first: person0.jpg\)"):
        read(root)


def test_distractors_join_the_gallery_as_nobody(root: Path, tmp_path: Path) -> None:
    more = tmp_path / "images"
    more.mkdir()
    for name in ("0000_c4s1_000001_00.jpg", "7_c2.jpg", "passer-by.png", "notes.txt"):
        (more / name).write_bytes(b"")
    plain, enlarged = read(root), read(root, distractors=str(more))
    assert (enlarged.train, enlarged.query) == (plain.train, plain.query)
    assert enlarged.gallery[: len(plain.gallery)] == plain.gallery
    assert table(enlarged.gallery[len(plain.gallery) :]) == [
        ("0000_c4s1_000001_00.jpg", 0, 4), ("7_c2.jpg", 0, 2), ("passer-by.png", 0, -1),
    ]  # fmt: skip
    assert enlarged.name == "market1501 (+3 distractors)"


def test_missing_distractors_are_told_by_their_option(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.distractors=.*nowhere is not a folder"):
        read(root, distractors=root / "nowhere")
