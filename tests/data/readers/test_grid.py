import json
from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.grid import read
from reid.errors import UserError


def names(people: int, others: int) -> list[str]:
    pairs = [f"{folder}/{person:04d}_{camera}_25008_169_19_94_252.jpeg"
             for person in range(1, people + 1) for folder, camera in (("probe", 1), ("gallery", 5))]  # fmt: skip
    return pairs + [f"gallery/0000_{other % 8 + 1}_{other}_1_2_3_4.jpeg" for other in range(others)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "underground_reid", names(4, 2))


@pytest.mark.parametrize("partitions", ["random", "published"])
def test_the_published_set_is_cut_as_published(
    tmp_path: Path, partitions: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = make(tmp_path, names(250, 775))
    (root / "partitions.json").write_text(json.dumps([list(range(1, 126))] * 10))
    split = read(root, trial=9, partitions=partitions)
    assert sizes(split.train) == (125, 250)
    assert sizes(split.query) == (125, 125)
    assert sizes(split.gallery) == (1 + 125, 900)
    assert not caplog.records
    assert split.name == f"grid ({partitions} trial 9)"


def test_published_partitions_say_who_is_trained_on(root: Path) -> None:
    (root / "partitions.json").write_text("[[1, 3], [2, 4]]")
    split = read(root, trial=1, partitions="published")
    assert {r.pid for r in split.train} == {2, 4}
    assert table(split.query) == [
        ("0001_1_25008_169_19_94_252.jpeg", 1, 1), ("0003_1_25008_169_19_94_252.jpeg", 3, 1),
    ]  # fmt: skip
    assert [(r.pid, r.camid) for r in split.gallery] == [(0, 1), (0, 2), (1, 5), (3, 5)]


def test_distractors_are_never_trained_on(root: Path) -> None:
    for trial in range(5):
        split = read(root, trial=trial)
        assert 0 not in {r.pid for r in split.train}
        assert [r.pid for r in split.gallery].count(0) == 2


def test_missing_partitions_are_told_with_the_way_out(root: Path) -> None:
    with pytest.raises(UserError, match="partitions.json is missing: .* or choose dataset.partitions=random"):
        read(root, partitions="published")


@pytest.mark.parametrize("text", ["{", "[]", "[1]", '[["x"]]', "{}"])
def test_damaged_partitions_are_told(root: Path, text: str) -> None:
    (root / "partitions.json").write_text(text)
    with pytest.raises(UserError, match="partitions.json is not a list of the training people"):
        read(root, partitions="published")


def test_options_out_of_range_are_refused(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.partitions=publsihed is unknown: did you mean published"):
        read(root, partitions="publsihed")
    with pytest.raises(UserError, match="dataset.trial=10 must be a whole number, from 0 to 9"):
        read(root, trial=10, partitions="published")


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "probe"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)
