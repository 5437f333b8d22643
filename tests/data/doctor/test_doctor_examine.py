"""A healthy set is called so, and each damage is found alone: nothing is missed and nothing invented."""

import json
from pathlib import Path

import pytest
from data.doctor.planted import DAMAGE, GALLERY, QUERY, TRAIN, Damage, healthy, name, picture, save

from reid.data.doctor import Examination, Finding, examine, exit_code, one_line, quick, worst_first
from reid.data.readers.market1501 import read
from reid.data.records import Record, Split


def examined(root: Path) -> Examination:
    return examine(read(root, name="mine"), workers=2)


def told(examination: Examination) -> list[tuple[str, str, int]]:
    return [(f.severity, f.name, f.count) for f in examination.findings]


def test_a_healthy_set(tmp_path: Path) -> None:
    found = examined(healthy(tmp_path / "set"))
    assert found.findings == ()
    assert found.parts["gallery"] == {"images": 12, "identities": 6, "cameras": 2}
    assert found.people["test"].images.tolist() == [4, 4, 4, 4]  # without junk and distractors
    assert found.people["train"].shared.tolist() == [[4, 4], [4, 4]]
    assert found.sizes["median"] == (32, 64)
    json.dumps(found.to_dict())


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_each_damage_and_nothing_else(damage: Damage, tmp_path: Path) -> None:
    root = healthy(tmp_path / "set")
    damage.do(root / damage.file)
    found = examined(root)
    assert told(found) == [(damage.severity, damage.finding, 1)]
    file = Path(damage.file).with_suffix(damage.renamed or ".jpg")
    (together,) = found.findings[0].files
    assert sorted(together) == sorted(root / f for f in (file, *damage.beside))


def test_reasons_of_unreadable_files(tmp_path: Path) -> None:
    root = healthy(tmp_path / "set")
    for kind, shot in (("truncated", 1), ("text", 2)):
        DAMAGE[kind].do(root / TRAIN / name(1, 1, shot))
    for shot in (1, 2):
        DAMAGE["empty"].do(root / TRAIN / name(1, 2, shot))
    (finding,) = examined(root).findings
    assert finding.count == 4
    assert "2 x the file is empty, 1 x image file is truncated, 1 x no image)" in finding.meaning


def test_harmless_oddities_are_passed_over(tmp_path: Path) -> None:
    """Opaque alpha, an upright rotation flag, a picture a little larger, junk that is a copy of a person."""
    root = healthy(tmp_path / "set")
    opaque = picture(1)
    opaque.putalpha(255)
    opaque.save(root / TRAIN / "0001_c1s1_000009_01.png")
    upright = picture(2)
    exif = upright.getexif()
    exif[0x0112] = 1
    save(root / TRAIN / name(2, 1, 9), upright, exif=exif)
    save(root / TRAIN / name(3, 1, 9), picture(3, 40, 70))
    (root / GALLERY / name(-1, 1, 9)).write_bytes((root / GALLERY / name(5, 1, 2)).read_bytes())
    (root / GALLERY / name(6, 1, 9)).write_bytes((root / QUERY / name(6, 1, 1)).read_bytes())
    assert told(examined(root)) == [("info", "copies of an image of the same identity and camera", 1)]


def test_labels_that_teach_nothing(tmp_path: Path) -> None:
    root = healthy(tmp_path / "set")
    save(root / TRAIN / name(20, 1, 1), picture(1))
    for shot in (1, 2):
        save(root / TRAIN / name(21, 1, shot), picture(10 + shot))
    save(root / TRAIN / name(5, 1, 9), picture(2))
    save(root / TRAIN / name(5, 2, 9), picture(3))
    split = read(root, name="mine")
    found = worst_first(quick(split))
    assert [(f.severity, f.name, f.count) for f in found] == [
        ("warning", "identities shared by train and test", 1),
        ("warning", "training identities with one image", 1),
        ("warning", "training identities in one camera", 1),
        ("info", "identity numbers without an image", 11),  # 9 to 19
    ]
    assert found[0].files == ((root / TRAIN / name(5, 1, 9), root / QUERY / name(5, 1, 1)),)
    assert found[1].files == ((root / TRAIN / name(20, 1, 1),),)
    assert found[2].files == ((root / TRAIN / name(21, 1, 1),),)
    assert examine(split).findings == found


def test_a_set_without_cameras_is_not_scolded_for_each_identity() -> None:
    records = tuple(Record(Path(f"{pid}_{shot}.jpg"), pid, 0) for pid in (1, 2) for shot in (1, 2))
    assert quick(Split("mine", Path(), records, (), ())) == []


def test_files_that_are_gone_and_parts_that_are_empty(tmp_path: Path) -> None:
    found = examine(Split("mine", tmp_path, (), (Record(tmp_path / "gone.jpg", 1, 1),), ()))
    assert told(found) == [("error", "unreadable images", 1)]
    assert "No such file" in found.findings[0].meaning
    assert found.people["train"].quartiles() == []


def test_one_file_in_two_parts(tmp_path: Path) -> None:
    """The same file, not a copy: a leak between train and test, no matter within test."""
    file = tmp_path / "1.jpg"
    save(file, picture(1))
    shown = (Record(file, 1, 1),)
    assert told(examine(Split("mine", tmp_path, (), shown, shown))) == []
    assert ("warning", "images shared by train and test", 1) in told(examine(Split("mine", tmp_path, shown, shown, ())))


def test_order_and_exit_code() -> None:
    a, b = Finding("warning", "a", 1, ""), Finding("warning", "b", 2, "")
    error, info = Finding("error", "e", 1, ""), Finding("info", "i", 9, "")
    assert worst_first([info, a, b, error]) == (error, b, a, info)
    assert [exit_code(found) for found in ([], [info], [info, a], [a, error])] == [0, 0, 1, 2]
    assert one_line([info, a, error]) == "e: 1, a: 1"
