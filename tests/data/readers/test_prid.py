from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.prid import read
from reid.errors import UserError


def names(view: str, people: range) -> list[str]:
    return [f"single_shot/cam_{view}/person_{person:04d}.png" for person in people]


def test_the_published_set_is_cut_as_in_the_literature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names("a", range(1, 386)) + names("b", range(1, 750))), trial=2)
    assert sizes(split.train) == (100, 200)
    assert sizes(split.query) == (100, 100)
    assert sizes(split.gallery) == (649, 649)
    assert max(r.pid for r in split.train + split.query) <= 200
    assert not caplog.records
    assert split.name == "prid (trial 2)"


def test_equal_numbers_beyond_200_are_different_people(tmp_path: Path) -> None:
    """Person 201 of view a is not person 201 of view b: it is neither trained on nor searched for."""
    files = names("a", range(199, 203)) + names("b", range(199, 204))
    split = read(make(tmp_path, files))
    (trained,) = {r.pid for r in split.train}
    tested = 399 - trained
    assert {trained, tested} == {199, 200}
    assert [r.camid for r in split.train] == [1, 2]
    assert table(split.query) == [(f"person_0{tested}.png", tested, 1)]
    assert table(split.gallery) == [(f"person_0{pid}.png", pid, 2) for pid in (tested, 201, 202, 203)]


def test_wrong_level_is_hinted(tmp_path: Path) -> None:
    root = make(tmp_path / "prid_2011", names("a", range(1, 3)) + names("b", range(1, 3)))
    for place in (root.parent, root / "single_shot"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


def test_missing_view_and_foreign_names_are_told(tmp_path: Path) -> None:
    root = make(tmp_path, [*names("a", range(1, 3)), "single_shot/cam_b/0001.png"])
    with pytest.raises(UserError, match=r"named like person_0001.png \(first: 0001.png\)"):
        read(root)
    (root / "single_shot/cam_a").rename(root / "cam_a")
    with pytest.raises(UserError, match="has no folder 'single_shot/cam_a'"):
        read(root)
