import os
from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.folder import read
from reid.data.records import Split
from reid.errors import UserError

GIVEN = [
    "train/Ä b/1_c3.jpg", "train/Ä b/2_c1.png", "train/0000/morning/x_c1.JPG", "train/0000/x_c2.jpg",
    "query/zoé/front door_c1.jpg", "gallery/zoé/side_c2.jpg", "gallery/-1/a_c2.jpg",
]  # fmt: skip
LITTER = [
    "train/0000/Thumbs.db",
    "query/zoé/.DS_Store",
    "query/zoé/._front door_c1.jpg",
    "gallery/.tn/a_c1.jpg",
    "a.jpg",
]
BY_CAMERA = [f"p{p}/{cam}/{i}.jpg" for p in range(6) for cam in ("east", "west") for i in range(2)]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return make(tmp_path / "my people", GIVEN + LITTER)


def test_a_folder_is_a_person_and_people_are_numbered_by_name(given: Path) -> None:
    """Sorted: -1, 0000, zoé, Ä b; the distractor in the gallery has a number too."""
    split = read(given, camera=r"_c(\d+)", name="mine")
    assert table(split.train) == [("x_c1.JPG", 2, 1), ("x_c2.jpg", 2, 2), ("1_c3.jpg", 4, 3), ("2_c1.png", 4, 1)]
    assert table(split.query) == [("front door_c1.jpg", 3, 1)]
    assert table(split.gallery) == [("a_c2.jpg", 1, 2), ("side_c2.jpg", 3, 2)]
    assert (split.name, split.root) == ("mine", given)
    assert all(r.path.is_file() for r in split.train + split.query + split.gallery)


def test_without_cameras_all_are_one_and_the_name_says_so(given: Path) -> None:
    split = read(given)
    assert {r.camid for r in split.train + split.query + split.gallery} == {0}
    assert split.name == "folder (no cameras)"


@pytest.mark.parametrize("pattern", [r"_(c\d)", r"c\d"])
def test_cameras_that_are_no_numbers_are_numbered_in_order(given: Path, pattern: str) -> None:
    (given / "train" / "0000" / "x_c2.jpg").rename(given / "train" / "0000" / "x_c9.jpg")
    assert [r.camid for r in read(given, camera=pattern).train] == [1, 4, 3, 1]  # c1, c2, c3, c9


def test_camera_by_the_folder_below_the_person(tmp_path: Path) -> None:
    split = read(make(tmp_path, BY_CAMERA), split="by_identity", camera="subfolder")
    assert {(r.path.parts[-2], r.camid) for r in split.train + split.query} == {("east", 1), ("west", 2)}


def test_a_set_without_training_pictures_can_be_judged_on(given: Path) -> None:
    (given / "train").rename(given / "elsewhere")
    split = read(given, camera=r"_c(\d)")
    assert split.train == ()
    assert [r.pid for r in split.query + split.gallery] == [2, 1, 2]


def by_person(split: Split, part: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for r in getattr(split, part):
        found.setdefault(r.path.relative_to(split.root).parts[0], []).append("/".join(r.path.parts[-2:]))
    return found


def test_drawn_people_are_searched_by_the_first_picture_of_each_camera(tmp_path: Path) -> None:
    split = read(make(tmp_path, BY_CAMERA), split="by_identity", test_fraction=0.34, camera="subfolder")
    train, query, gallery = (by_person(split, part) for part in ("train", "query", "gallery"))
    assert (len(train), len(query), train.keys() & query.keys()) == (4, 2, set())
    assert all(names == ["east/0.jpg", "west/0.jpg"] for names in query.values())
    assert all(names == ["east/1.jpg", "west/1.jpg"] for names in gallery.values())
    assert query.keys() == gallery.keys()
    assert all(len(names) == 4 for names in train.values())
    assert split.name == "folder (0.34 by identity, seed 0)"


def test_the_draw_depends_on_the_seed_alone(tmp_path: Path) -> None:
    make(tmp_path, BY_CAMERA)
    drawn = [tuple(by_person(read(tmp_path, split="by_identity", seed=s), "query")) for s in (0, 0, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 1


@pytest.mark.parametrize(
    ("pictures", "query", "gallery"),
    [
        (["a/1", "b/1"], ["a/1"], ["b/1"]),  # b/1 as a query would leave a/1 nothing to find
        (["a/1", "a/2", "b/1"], ["a/1"], ["a/2", "b/1"]),
        (["a/1", "b/1", "b/2"], ["a/1"], ["b/1", "b/2"]),  # b/1 could only be found by a picture of its own camera
        (["a/1", "a/2", "b/1", "b/2"], ["a/1", "b/1"], ["a/2", "b/2"]),
        (["a/1", "b/1", "c/1", "c/2"], ["a/1", "b/1"], ["c/1", "c/2"]),
    ],
)
def test_every_query_keeps_a_match_in_another_camera(
    pictures: list[str], query: list[str], gallery: list[str], tmp_path: Path
) -> None:
    """Worked by hand. The other person has one camera and is never drawn."""
    names = [f"0/{name}.jpg" for name in pictures] + ["1/a/1.jpg", "1/a/2.jpg"]
    split = read(make(tmp_path, names), split="by_identity", camera="subfolder")
    assert by_person(split, "query") == {"0": [f"{name}.jpg" for name in query]}
    assert by_person(split, "gallery") == {"0": [f"{name}.jpg" for name in gallery]}
    assert by_person(split, "train") == {"1": ["a/1.jpg", "a/2.jpg"]}


def test_without_cameras_one_picture_is_searched_in_the_others(tmp_path: Path) -> None:
    split = read(make(tmp_path, ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg"]), split="by_identity")
    assert by_person(split, "query") == {"a": ["a/1.jpg"]}
    assert by_person(split, "gallery") == {"a": ["a/2.jpg", "a/3.jpg"]}


def test_links_are_followed_and_those_that_lead_back_are_not(tmp_path: Path) -> None:
    store = make(tmp_path / "store", ["p0/a_c1.jpg", "p0/more/b_c2.jpg", "single_c2.jpg"])
    root = make(tmp_path / "set", ["p1/a_c1.jpg"])
    (root / "p0").symlink_to(store / "p0")
    (root / "p1" / "b_c2.jpg").symlink_to(store / "single_c2.jpg")
    for place, target in {
        "loop": root, "p1/up": root, "p1/again": root / "p1", "p1/higher": tmp_path, "p0/more/back": store / "p0",
        "p1/self": root / "p1" / "self",
    }.items():  # fmt: skip
        os.symlink(target, root / place)
    split = read(root, split="by_identity", camera=r"_c(\d)")
    assert table(split.train + split.query + split.gallery) in (
        [("a_c1.jpg", 1, 1), ("b_c2.jpg", 1, 2), ("a_c1.jpg", 2, 1), ("b_c2.jpg", 2, 2)],
        [("a_c1.jpg", 2, 1), ("b_c2.jpg", 2, 2), ("a_c1.jpg", 1, 1), ("b_c2.jpg", 1, 2)],
    )


def test_people_without_a_picture_are_told(given: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(given, ["train/empty/notes.txt"])
    assert len(read(given).train) == 4
    assert f"1 of 3 folders in {given / 'train'} hold no picture (first: {given / 'train/empty'})" in caplog.text


def test_a_person_in_train_and_query_is_told(given: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(given, ["train/zoé/1.jpg"])
    read(given)
    assert "1 identities are in train and in query" in caplog.text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "by_person"}, "dataset.split=by_person is unknown: .*given, by_identity"),
        ({"split": "by_identity"}, "holds query/ and gallery/: read it with dataset.split=given"),
        ({"camera": "_c(\\d"}, r"dataset.camera=_c\(\\d is not a regular expression: missing \)"),
        ({"camera": "(a)_c(.)"}, "must be an expression with one group, as .*, subfolder or null"),
        ({"camera": ""}, "must be an expression with one group"),
        (
            {"camera": "_k(.)"},
            "4 of 4 pictures in .*train do not tell a camera by dataset.camera=_k.*first: .*x_c1.JPG",
        ),
        ({"camera": "subfolder"}, "3 of 4 pictures in .*train do not tell a camera .*first: .*x_c2.jpg"),
    ],
)
def test_options_that_do_not_fit(given: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        read(given, **options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"split": "given"}, "has no folder 'query': .*; dataset.split=by_identity cuts a folder of people"),
        ({"test_fraction": 1.0}, "dataset.test_fraction=1.0 must lie between 0 and 1"),
        ({"test_fraction": 0.01}, "dataset.test_fraction=0.01 asks for 0 of 6 people to test on"),
        ({"test_fraction": 0.99}, "asks for 6 of 6 people"),
        ({"seed": -1}, "dataset.seed=-1 must be at least 0"),
        ({"camera": r"(\d)\.jpg", "test_fraction": 0.5}, None),
    ],
)
def test_draws_that_do_not_fit(tmp_path: Path, options: dict, says: str | None) -> None:
    make(tmp_path, BY_CAMERA)
    if says is None:
        assert len(read(tmp_path, **{"split": "by_identity", **options}).query) == 3 * 2
        return
    with pytest.raises(UserError, match=says):
        read(tmp_path, **{"split": "by_identity", **options})


def test_people_whom_one_camera_has_seen_cannot_be_drawn(tmp_path: Path) -> None:
    make(tmp_path, ["a/1_c1.jpg", "a/2_c1.jpg", "b/1_c1.jpg", "b/2_c2.jpg", "c/1_c1.jpg"])
    with pytest.raises(UserError, match="asks for 2 of 3 people to test on, 1 of whom two cameras have seen"):
        read(tmp_path, split="by_identity", camera=r"_c(\d)")
    assert len(read(tmp_path, split="by_identity").query) == 2  # without cameras a and b have two pictures


@pytest.mark.parametrize("split", ["given", "by_identity"])
def test_no_folder(tmp_path: Path, split: str) -> None:
    with pytest.raises(UserError, match=r"dataset.root=.*nowhere is not a folder"):
        read(tmp_path / "nowhere", split=split)


def test_pictures_of_nobody(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no folder of a person with .jpg or .png images in it"):
        read(make(tmp_path, ["1.jpg", "2.jpg"]), split="by_identity")
