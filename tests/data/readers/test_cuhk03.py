import json
from pathlib import Path

import pytest
from miniature import make, table

from reid.data.readers.cuhk03 import read, read_single_shot
from reid.errors import UserError

FILES = ["bounding_box_train/0001_c1_1.png", "query/0003_c1_21.png", "bounding_box_test/0003_c2_26.png"]
IMAGES = ["1_001_1_01.png", "1_001_2_06.png", "1_843_1_02.png", "1_843_2_07.png", "2_001_1_01.png", "2_001_2_10.png"]


@pytest.fixture
def repacked(tmp_path: Path) -> Path:
    """The split into 767 and 700, one image less with labelled boxes."""
    detected = [f"detected/{name}" for name in [*FILES, "bounding_box_test/0003_c2_27.png"]]
    return make(tmp_path / "cuhk03-np", detected + [f"labeled/{name}" for name in FILES])


def splits(test: list[str]) -> list[dict[str, list[list[object]]]]:
    """Twenty splits as torchreid writes them; the second one has these test images."""
    entries: list[list[object]] = [[f"/home/someone/cuhk03/images_detected/{name}", 0, 0] for name in test]
    return [{"train": [], "query": entries if trial == 1 else [], "gallery": []} for trial in range(20)]


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    root = make(tmp_path / "cuhk03", [f"images_detected/{name}" for name in IMAGES])
    (root / "splits_classic_detected.json").write_text(json.dumps(splits(["2_001_1_01.png", "2_001_2_10.png"])))
    return root


@pytest.mark.parametrize(("boxes", "gallery"), [("detected", 2), ("labeled", 1)])
def test_boxes_choose_the_folder_and_stand_in_the_name(repacked: Path, boxes: str, gallery: int) -> None:
    split = read(repacked, boxes=boxes)
    assert table(split.train) == [("0001_c1_1.png", 1, 1)]
    assert table(split.query) == [("0003_c1_21.png", 3, 1)]
    assert len(split.gallery) == gallery
    assert split.name == f"cuhk03 ({boxes})"
    assert all(boxes in r.path.parts for r in split.train + split.query + split.gallery)


@pytest.mark.parametrize(("boxes", "published"), [("detected", 5332), ("labeled", 5328)])
def test_published_counts_are_those_of_the_boxes(
    repacked: Path, boxes: str, published: int, caplog: pytest.LogCaptureFixture
) -> None:
    read(repacked, boxes=boxes)
    assert f"instead of {published} of 700" in caplog.text


def test_wrong_level_is_hinted(repacked: Path) -> None:
    for place in (repacked.parent, repacked / "detected"):
        with pytest.raises(UserError, match="did you mean") as caught:
            read(place)
        assert f"dataset.root={repacked}?" in str(caught.value)


def test_unknown_boxes_are_refused(repacked: Path, classic: Path) -> None:
    for reader, root in ((read, repacked), (read_single_shot, classic)):
        with pytest.raises(UserError, match="dataset.boxes=labelled is unknown: did you mean labeled"):
            reader(root, boxes="labelled")  # type: ignore[operator]


def test_single_shot_tests_on_the_people_of_the_trial(classic: Path) -> None:
    split = read_single_shot(classic, trial=1)
    assert [r.path.name for r in split.train] == IMAGES[:4]
    assert table(split.query) == [("2_001_1_01.png", 2001, 1), ("2_001_2_10.png", 2001, 2)]
    assert split.gallery == split.query
    assert split.name == "cuhk03_single_shot (detected, trial 1)"


def test_equal_numbers_in_two_pairs_of_cameras_are_two_people(classic: Path) -> None:
    split = read_single_shot(classic, trial=1)
    assert [(r.pid, r.camid) for r in split.train] == [(1001, 1), (1001, 2), (1843, 1), (1843, 2)]


def test_images_are_counted_once_against_the_published(classic: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_single_shot(classic, trial=1)
    assert "6 images of 3 identities instead of 14097 of 1467" in caplog.text


@pytest.mark.parametrize("trial", [-1, 20])
def test_there_are_twenty_trials(classic: Path, trial: int) -> None:
    with pytest.raises(UserError, match=f"dataset.trial={trial} must be a whole number, from 0 to 19"):
        read_single_shot(classic, trial=trial)


def test_trial_without_its_images_is_refused(classic: Path) -> None:
    with pytest.raises(UserError, match="images_detected holds no image that splits_classic_detected.json names"):
        read_single_shot(classic, trial=0)


@pytest.mark.parametrize("text", ["{", "[]", '{"query": 1}', '[[], [{"query": []}]]', '[0, {"query": [1]}]'])
def test_damaged_splits_are_told(classic: Path, text: str) -> None:
    (classic / "splits_classic_detected.json").write_text(text)
    with pytest.raises(UserError, match="splits_classic_detected.json is not a list of splits"):
        read_single_shot(classic, trial=1)


def test_missing_splits_are_told(classic: Path) -> None:
    (classic / "splits_classic_detected.json").unlink()
    with pytest.raises(UserError, match="has no splits_classic_detected.json: let torchreid write it"):
        read_single_shot(classic)
