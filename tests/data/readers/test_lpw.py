from pathlib import Path

import pytest
from miniature import make

from reid.data.readers.lpw import PUBLISHED, read
from reid.errors import UserError

FILES = [
    "scen1/view1/12/10213.jpg", "scen1/view2/12/10001.jpg", "scen1/view2/7/1.jpg", "scen1/view3/7/2.jpg",
    "scen2/view1/12/1.jpg", "scen2/view4/12/2.jpg", "scen2/view4/12/3.jpg", "scen3/view3/181/10213.jpg",
    "scen1/readme.txt", "scen1/view1/Thumbs.db",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "pep_256x128", FILES)


def test_scene_one_is_tested_on_and_its_second_view_searches(root: Path) -> None:
    split = read(root)
    assert [(r.path.name, r.pid, r.camid) for r in split.query] == [
        ("10001.jpg", 100_012, 12), ("1.jpg", 100_007, 12),
    ]  # fmt: skip
    assert [(r.path.name, r.pid, r.camid) for r in split.gallery] == [
        ("10213.jpg", 100_012, 11), ("2.jpg", 100_007, 13),
    ]  # fmt: skip


def test_equal_numbers_in_two_scenes_are_two_people(root: Path) -> None:
    train = read(root).train
    assert [(r.pid, r.camid) for r in train] == [(200_012, 21), (200_012, 24), (200_012, 24), (300_181, 33)]


def test_a_view_saw_a_person_in_one_track(root: Path) -> None:
    train = read(root).train
    assert len({(r.pid, r.track) for r in train[:3]}) == 2
    assert train[1].track == train[2].track != train[0].track


def test_published_people_are_those_of_the_authors_page() -> None:
    """Views marked * there show everyone of their scene: 756, 1,751 and 224 people."""
    assert PUBLISHED["query"][0] == PUBLISHED["gallery"][0] == 756
    assert PUBLISHED["train"][0] == 1_751 + 224 == 2_731 - 756


def test_fewer_images_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "train has 4 images of 2 identities instead of 418739 of 1975" in caplog.text


def test_scene_without_people_is_told(root: Path) -> None:
    (root / "scen3/view3").rename(root / "scen3/three")
    with pytest.raises(UserError, match="scen3 holds no folder of a person, such as view1/12"):
        read(root)


def test_wrong_level_is_hinted(root: Path) -> None:
    for place in (root.parent, root / "scen1"):
        with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
            read(place)
