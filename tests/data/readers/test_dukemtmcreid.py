from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.dukemtmcreid import read
from reid.errors import UserError

FILES = [
    "bounding_box_train/0001_c2_f0046182.jpg", "bounding_box_train/0001_c1_f0044158.jpg",
    "query/0005_c2_f0046985.jpg", "query/Thumbs.db",
    "bounding_box_test/0005_c5_f0051341.jpg", "bounding_box_test/4002_c8_f0220000.jpg",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make(tmp_path / "DukeMTMC-reID", FILES)


def test_identities_and_cameras_are_read_from_the_names(root: Path) -> None:
    split = read(root)
    assert table(split.train) == [("0001_c1_f0044158.jpg", 1, 1), ("0001_c2_f0046182.jpg", 1, 2)]
    assert table(split.query) == [("0005_c2_f0046985.jpg", 5, 2)]
    assert table(split.gallery) == [("0005_c5_f0051341.jpg", 5, 5), ("4002_c8_f0220000.jpg", 4002, 8)]
    assert split.name == "dukemtmcreid"


def test_fewer_images_than_published_are_warned_of(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(root)
    assert "2 images of 1 identities instead of 16522 of 702" in caplog.text


def test_one_level_too_high_is_hinted(root: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean dataset.root={root}"):
        read(root.parent)
