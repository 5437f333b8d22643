from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.cuhk02 import read
from reid.errors import UserError

PEOPLE = (971, 306, 107, 193, 239)  # of each pair of cameras, in the paper


def names(people: tuple[int, ...]) -> list[str]:
    return [
        f"P{pair}/cam{view}/{person:03d}_{picture}.png"
        for pair, count in enumerate(people, start=1)
        for view in (1, 2)
        for person in range(1, count + 1)
        for picture in (1, 2)
    ]


def test_the_published_set_is_cut_as_published(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names(PEOPLE)))
    assert sizes(split.train) == (971 + 306 + 107 + 193, 7264 - 4 * 239)
    assert sizes(split.query) == sizes(split.gallery) == (239, 478)
    assert not caplog.records


def test_equal_numbers_in_two_pairs_are_two_people_in_four_cameras(tmp_path: Path) -> None:
    split = read(make(tmp_path, names((1, 1, 1, 1, 1))))
    assert [(r.pid, r.camid) for r in split.train] == [
        (10_001, 1), (10_001, 1), (10_001, 2), (10_001, 2), (20_001, 3), (20_001, 3), (20_001, 4), (20_001, 4),
        (30_001, 5), (30_001, 5), (30_001, 6), (30_001, 6), (40_001, 7), (40_001, 7), (40_001, 8), (40_001, 8),
    ]  # fmt: skip
    assert table(split.query) == [("001_1.png", 50_001, 9), ("001_2.png", 50_001, 9)]
    assert table(split.gallery) == [("001_1.png", 50_001, 10), ("001_2.png", 50_001, 10)]


def test_wrong_level_is_hinted(tmp_path: Path) -> None:
    root = make(tmp_path / "Dataset", names((1, 1, 1, 1, 1)))
    for place in (root.parent, root / "P1"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)


def test_missing_pair_or_view_is_named(tmp_path: Path) -> None:
    root = make(tmp_path, names((1, 1, 1, 1, 1)))
    (root / "P3" / "cam2").rename(root / "elsewhere")
    with pytest.raises(UserError, match="P3/cam2 is not a folder"):
        read(root)
    (root / "P5").rename(root / "P6")
    with pytest.raises(UserError, match="has no folder 'P5'"):
        read(root)
