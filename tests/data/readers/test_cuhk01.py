from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.cuhk01 import read
from reid.errors import UserError


def names(people: int) -> list[str]:
    return [f"campus/{person:04d}{picture:03d}.png" for person in range(1, people + 1) for picture in (1, 2, 3, 4)]


def test_pictures_tell_the_camera(tmp_path: Path) -> None:
    split = read(make(tmp_path / "cuhk01", [*names(2), "campus/Thumbs.db"]))
    (trained,) = {r.pid for r in split.train}
    tested = 3 - trained
    assert table(split.train) == [
        (f"{trained:04d}00{picture}.png", trained, camera) for picture, camera in ((1, 1), (2, 1), (3, 2), (4, 2))
    ]
    assert table(split.query) == [(f"{tested:04d}001.png", tested, 1)]
    assert table(split.gallery) == [(f"{tested:04d}00{n}.png", tested, c) for n, c in ((2, 1), (3, 2), (4, 2))]


def test_the_published_set_is_cut_into_485_and_486(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names(971)), trial=3)
    assert sizes(split.train) == (485, 485 * 4)
    assert sizes(split.query) == (486, 486)
    assert sizes(split.gallery) == (486, 486 * 3)
    assert not caplog.records
    assert split.name == "cuhk01 (trial 3)"


def test_missing_images_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(make(tmp_path, names(970)))
    assert "query has 485 images of 485 identities instead of 486 of 486" in caplog.text


def test_one_level_too_low_is_hinted(tmp_path: Path) -> None:
    root = make(tmp_path, names(2))
    with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
        read(root / "campus")


def test_foreign_naming_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"named like 0001001.png \(first: 0001_c1.png\)"):
        read(make(tmp_path, ["campus/0001_c1.png"]))
