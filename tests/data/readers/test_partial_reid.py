from pathlib import Path

import pytest
from miniature import make, sizes, table

from reid.data.readers.partial_reid import read
from reid.errors import UserError

KINDS = ("partial", "occluded", "whole")


def names(people: int, kinds: tuple[str, ...] = KINDS) -> list[str]:
    return [f"{kind}_body_images/{person:03d}_{k:03d}.jpg"
            for kind in kinds for person in range(1, people + 1) for k in range(1, 6)]  # fmt: skip


@pytest.mark.parametrize("queries", ["partial", "occluded"])
def test_the_published_set_is_all_to_test_on(tmp_path: Path, queries: str, caplog: pytest.LogCaptureFixture) -> None:
    split = read(make(tmp_path, names(60)), queries=queries)
    assert split.train == ()
    assert sizes(split.query) == sizes(split.gallery) == (60, 300)
    assert {r.path.parent.name for r in split.query} == {f"{queries}_body_images"}
    assert {r.path.parent.name for r in split.gallery} == {"whole_body_images"}
    assert not caplog.records
    assert split.name == f"partial_reid ({queries})"


def test_the_name_tells_the_person(tmp_path: Path) -> None:
    split = read(make(tmp_path, ["partial_body_images/007_002.jpg", "whole_body_images/060_005.jpg",
                                 "whole_body_images/readme.jpg"]))  # fmt: skip
    assert table(split.query) == [("007_002.jpg", 7, 0)]
    assert table(split.gallery) == [("060_005.jpg", 60, 0)]


def test_fewer_images_than_published_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(make(tmp_path, names(2)))
    assert "gallery has 10 images of 2 identities instead of 300 of 60" in caplog.text


def test_unknown_queries_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dataset.queries=ocluded is unknown: did you mean occluded"):
        read(make(tmp_path, names(1)), queries="ocluded")


def test_only_the_folder_of_these_queries_is_needed(tmp_path: Path) -> None:
    root = make(tmp_path, names(1, kinds=("partial", "whole")))
    assert len(read(root).query) == 5
    with pytest.raises(UserError, match="has no folder 'occluded_body_images'"):
        read(root, queries="occluded")


def test_foreign_naming_is_told(tmp_path: Path) -> None:
    root = make(tmp_path, ["partial_body_images/p1_2.jpg", "whole_body_images/001_001.jpg"])
    with pytest.raises(UserError, match=r"named like 001_002.jpg \(first: p1_2.jpg\)"):
        read(root)
