from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.occluded_reid import read
from reid.errors import UserError


def names(people: int, pictures: int = 5) -> list[str]:
    return [
        f"{kind}_body_images/{person:03d}/{person:03d}_{k:02d}.tif"
        for kind in ("occluded", "whole")
        for person in range(1, people + 1)
        for k in range(1, pictures + 1)
    ]


def test_the_published_set_is_all_to_test_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names(200)))
    assert split.train == ()
    assert sizes(split.query) == sizes(split.gallery) == (200, 1_000)
    assert not caplog.records
    assert split.name == "occluded_reid"


def test_the_folder_tells_the_person_and_its_parent_the_part(tmp_path: Path) -> None:
    root = make(tmp_path, ["occluded_body_images/007/a.tif", "whole_body_images/007/b.tif", "whole_body_images/9/c.TIF",
                           "whole_body_images/Thumbs.db", "whole_body_images/pose/x.tif"])  # fmt: skip
    split = read(root)
    assert table(split.query) == [("a.tif", 7, 0)]
    assert table(split.gallery) == [("b.tif", 7, 0), ("c.TIF", 9, 0)]


def test_fewer_images_than_published_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(make(tmp_path, names(2)))
    assert "query has 10 images of 2 identities instead of 1000 of 200" in caplog.text


def test_wrong_level_is_hinted(tmp_path: Path) -> None:
    root = make(tmp_path / "Occluded_REID", names(1))
    for place in (root.parent, root / "whole_body_images"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


def test_a_copy_without_folders_of_people_is_told(tmp_path: Path) -> None:
    root = make(tmp_path, ["occluded_body_images/001_01.tif", "whole_body_images/001_01.tif"])
    with pytest.raises(UserError, match="occluded_body_images holds no folder of a person, such as 001"):
        read(root)


def test_an_empty_person_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, names(1))
    (root / "whole_body_images/002").mkdir()
    with pytest.raises(UserError, match="whole_body_images/002 holds no .jpg or .png image"):
        read(root)
