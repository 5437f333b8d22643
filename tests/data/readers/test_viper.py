from pathlib import Path

import numpy as np
import pytest
from miniature import make, sizes, table

from reid.data.readers.viper import read
from reid.errors import UserError

FILES = [f"cam_{view}/{person:03d}_{angle}.bmp" for person in (0, 1, 872, 873) for view, angle in (("a", 0), ("b", 90))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "VIPeR", FILES)


def test_view_a_is_searched_in_view_b(root: Path) -> None:
    split = read(root)
    trained = sorted({r.pid for r in split.train})
    tested = [person for person in (0, 1, 872, 873) if person not in trained]
    assert len(trained) == len(tested) == 2
    assert table(split.train) == [
        (f"{person:03d}_{angle}.bmp", person, camera) for camera, angle in ((1, 0), (2, 90)) for person in trained
    ]
    assert table(split.query) == [(f"{person:03d}_0.bmp", person, 1) for person in tested]
    assert table(split.gallery) == [(f"{person:03d}_90.bmp", person, 2) for person in tested]


def test_the_published_set_is_halved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = make(tmp_path, [f"cam_{view}/{person:03d}_45.bmp" for person in range(632) for view in "ab"])
    splits = [read(root, trial=trial) for trial in range(10)]
    for trial, split in enumerate(splits):
        assert sizes(split.train) == (316, 632)
        assert sizes(split.query) == sizes(split.gallery) == (316, 316)
        assert not {r.pid for r in split.train} & {r.pid for r in split.query}
        assert split.name == f"viper (trial {trial})"
    assert not caplog.records
    assert len({split.train for split in splits}) == 10
    assert read(root, trial=4) == splits[4]


def test_the_draw_is_the_one_documented(root: Path) -> None:
    drawn = np.random.default_rng([7, 0x4A1F]).permutation([0, 1, 872, 873])[:2]
    assert {r.pid for r in read(root, trial=7).train} == set(drawn)


def test_negative_trial_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="dataset.trial=-1 must be a whole number, 0 or more"):
        read(root, trial=-1)


def test_views_of_different_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cam_a and .*cam_b: 0 identities are in every view"):
        read(make(tmp_path, ["cam_a/000_0.bmp", "cam_b/001_0.bmp"]))


@pytest.mark.parametrize("view", ["cam_a", "cam_b"])
def test_missing_view_is_named(root: Path, view: str) -> None:
    (root / view).rename(root / "elsewhere")
    with pytest.raises(UserError, match=f"has no folder '{view}': it must hold cam_a/ and cam_b/"):
        read(root)


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "cam_a"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)
