from pathlib import Path

import pytest
from miniature import make, sizes

from reid.data.readers.ilids import read
from reid.errors import UserError


def names(people: int, pictures: int = 4) -> list[str]:
    return [f"Persons/{person:04d}{k:03d}.jpg" for person in range(1, people + 1) for k in range(1, pictures + 1)]


def test_the_published_set_is_cut_into_59_and_60(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names(119)), trial=1)
    assert sizes(split.train) == (59, 59 * 4)
    assert sizes(split.query) == (60, 60 * 3)
    assert sizes(split.gallery) == (60, 60)
    assert not caplog.records
    assert split.name == "ilids (trial 1)"


def test_each_picture_is_in_one_part_and_has_its_person(tmp_path: Path) -> None:
    root = make(tmp_path, names(5, pictures=3))
    split = read(root)
    records = split.train + split.query + split.gallery
    assert sorted(f"Persons/{r.path.name}" for r in records) == names(5, pictures=3)
    assert all(r.pid == int(r.path.name[:4]) for r in records)
    assert not {r.pid for r in split.train} & {r.pid for r in split.query + split.gallery}


def test_trials_differ_and_come_again(tmp_path: Path) -> None:
    root = make(tmp_path, names(12))
    splits = [read(root, trial=trial) for trial in range(10)]
    assert len({split.gallery for split in splits}) == 10
    assert read(root, trial=6) == splits[6]


def test_missing_images_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(make(tmp_path, names(3)))
    assert "12 images of 3 identities instead of 476 of 119" in caplog.text


def test_wrong_level_is_hinted(tmp_path: Path) -> None:
    root = make(tmp_path / "i-LIDS_Pedestrian", names(2))
    for place in (root.parent, root / "Persons"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


def test_foreign_naming_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"named like 0001001.jpg \(first: cam1_person001.png\)"):
        read(make(tmp_path, ["Persons/cam1_person001.png"]))
