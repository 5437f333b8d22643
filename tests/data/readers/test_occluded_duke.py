from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.occluded_duke import read
from reid.data.records import camids, pids
from reid.errors import UserError
from reid.evaluation.labels import Labels
from reid.evaluation.protocols import PROTOCOLS

FILES = [
    "bounding_box_train/0001_c2_f0046182.jpg", "bounding_box_train/0001_c2_f0046302.jpg",
    "query/0019_c1_f0051230.jpg",
    "bounding_box_test/0019_c1_f0051230.jpg", "bounding_box_test/0019_c5_f0051341.jpg",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "Occluded_Duke", FILES)


def test_identities_and_cameras_are_read_from_the_names(root: Path) -> None:
    split = read(root)
    assert table(split.train) == [("0001_c2_f0046182.jpg", 1, 2), ("0001_c2_f0046302.jpg", 1, 2)]
    assert table(split.query) == [("0019_c1_f0051230.jpg", 19, 1)]
    assert table(split.gallery) == [("0019_c1_f0051230.jpg", 19, 1), ("0019_c5_f0051341.jpg", 19, 5)]
    assert split.name == "occluded_duke"


def test_a_query_that_stands_in_the_gallery_too_does_not_find_itself(root: Path) -> None:
    split = read(root)
    sides = (Labels(pids(part), camids=camids(part)) for part in (split.query, split.gallery))
    match, junk = PROTOCOLS["market1501"].judge(*sides)
    assert match.tolist() == [[False, True]]
    assert junk.tolist() == [[True, False]]


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "train has 2 images of 1 identities instead of 15618 of 702" in caplog.text
    assert "query has 1 images of 1 identities instead of 2210 of 519" in caplog.text


def test_one_level_too_high_is_hinted(root: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
        read(root.parent)
