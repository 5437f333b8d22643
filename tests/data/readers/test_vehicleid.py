from pathlib import Path

import pytest
from miniature import make, sizes

from reid.data.readers.vehicleid import PUBLISHED, read
from reid.errors import UserError


def lines(first: int, vehicles: int, images: int = 3) -> list[str]:
    """``images`` of each vehicle; vehicle and image numbers begin at ``first``."""
    return [f"{first * images + k:07d} {first + k // images}" for k in range(vehicles * images)]


def written(root: Path, lists: dict[str, list[str]]) -> Path:
    make(root, [f"image/{line.split()[0]}.jpg" for part in lists.values() for line in part])
    (root / "train_test_split").mkdir()
    for part, rows in lists.items():
        (root / "train_test_split" / f"{part}.txt").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(
        tmp_path / "VehicleID_V1.0",
        {"train_list": lines(1, 4), "test_list_800": lines(100, 5), "test_list_1600": lines(100, 6)},
    )


def test_one_image_of_each_test_vehicle_is_the_gallery(root: Path) -> None:
    split = read(root)
    assert sizes(split.train) == (4, 12)
    assert sizes(split.gallery) == (5, 5)
    assert sizes(split.query) == (5, 10)
    assert len({r.path for r in split.query + split.gallery}) == 15
    assert split.name == "vehicleid (800, trial 0)"


def test_the_list_tells_the_vehicle_of_an_image(root: Path) -> None:
    told = dict(line.split() for line in lines(1, 4) + lines(100, 5))
    split = read(root)
    for r in split.train + split.query + split.gallery:
        assert r.pid == int(told[r.path.stem])
        assert r.camid == 0
        assert r.path.is_file()


def test_the_order_of_a_list_is_of_no_account(root: Path) -> None:
    before = read(root)
    (root / "train_test_split/test_list_800.txt").write_text("\r\n".join(reversed(lines(100, 5))), newline="")
    assert read(root) == before


def test_the_size_chooses_the_list(root: Path) -> None:
    assert sizes(read(root, test_size=1600).gallery) == (6, 6)
    with pytest.raises(UserError, match="train_test_split/test_list_2400.txt is missing"):
        read(root, test_size=2400)


def test_trials_differ_and_come_again(root: Path) -> None:
    splits = [read(root, trial=trial) for trial in range(10)]
    assert len({split.gallery for split in splits}) > 5
    assert read(root, trial=6) == splits[6]


@pytest.mark.parametrize(("size", "images"), [(800, 6_493), (1600, 13_377), (2400, 19_777)])
def test_published_images_are_those_of_the_lists(size: int, images: int) -> None:
    published = PUBLISHED[size]
    assert published["query"][1] + published["gallery"][1] == images
    assert published["gallery"] == (size, size)
    assert published["train"][0] * 2 == 26_328


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "train has 12 images of 4 identities instead of 113346 of 13164" in caplog.text


def test_options_out_of_range_are_refused(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.test_size=900 is unknown: .*known are 800, 1600, 2400"):
        read(root, test_size=900)
    with pytest.raises(UserError, match="dataset.trial=-1 must be a whole number, 0 or more"):
        read(root, trial=-1)


def test_images_that_are_not_there_are_counted(root: Path) -> None:
    for number in (300, 301, 302):
        (root / f"image/{number:07d}.jpg").unlink()
    with pytest.raises(UserError, match=r"test_list_800.txt: 3 of its images are not there \(first: .*0000300.jpg\)"):
        read(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0000300 100\n\n0000301,100", "test_list_800.txt, line 3: not like 0000001 12345, but 0000301,100"),
        ("\n", "test_list_800.txt names no image"),
    ],
)
def test_damaged_list_is_told_with_its_line(root: Path, text: str, message: str) -> None:
    (root / "train_test_split/test_list_800.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read(root)


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "image"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)
