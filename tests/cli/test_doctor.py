"""scripts/doctor.py as a user runs it."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from cli.entry import in_process, small
from data.doctor.planted import DAMAGE, GALLERY, QUERY, TRAIN, healthy, name, picture, save
from PIL import Image
from report.pages import Reader

SCRIPT = "scripts/doctor.py"
OWN_PLACES = ("truncated", "png", "cmyk", "rotation", "size", "shape", "near leak", "two people")  # file by file


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """Many damages at once, each to a picture of its own, and labels that are wrong too."""
    root = healthy(tmp_path / "set")
    places = [root / TRAIN / name(pid, camera, 2) for pid in (1, 2, 3, 4) for camera in (1, 2)]
    for kind, place in zip(OWN_PLACES, places, strict=True):
        DAMAGE[kind].do(place)
    save(root / TRAIN / name(9, 1, 1), picture(1))
    for shot in (1, 2):
        save(root / TRAIN / name(10, 1, shot), picture(10 + shot))
    (root / GALLERY / name(6, 1, 2)).unlink()  # the query of camera 2 keeps none
    return root


def arguments(root: Path, *more: str) -> list[str]:
    return ["dataset=market1501", f"dataset.root={root}", "dataset.name=mine", *more]


def test_the_toy_set_is_healthy(toy: Path) -> None:
    given = [f"dataset.root={toy}", "dataset.train_identities=8", "dataset.test_identities=4"]
    outcome = in_process(SCRIPT, *given).check(0)
    assert outcome.err == ""
    assert outcome.out.splitlines()[-1].startswith("healthy (")
    assert "warning" not in outcome.out


def test_all_damages_at_once(sick: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    out = in_process(SCRIPT, *arguments(sick, f"output={file}")).check(2).out
    found = json.loads(file.read_text())["findings"]
    assert {f["name"]: (f["severity"], f["count"]) for f in found} == {
        **{DAMAGE[kind].finding: (DAMAGE[kind].severity, 1) for kind in OWN_PLACES},
        "training identities with one image": ("warning", 1),
        "training identities in one camera": ("warning", 1),
        "queries without a match, identity only in the query's own camera": ("warning", 1),
    }
    assert found[0]["severity"] == "error"
    assert found[0]["files"] == [[str(sick / TRAIN / name(1, 1, 2))]]
    assert f"         {TRAIN}/{name(1, 1, 2)}\n" in out  # as seen from dataset.root
    assert "cannot be used as it is: 1 error and 9 warnings" in out


def test_warnings_alone(tmp_path: Path) -> None:
    root = healthy(tmp_path / "set")
    DAMAGE["leak"].do(root / DAMAGE["leak"].file)
    out = in_process(SCRIPT, *arguments(root)).check(1).out
    assert "can be used, but see 1 warning" in out
    assert f"{TRAIN}/{name(1, 1, 1)} = {GALLERY}/{name(5, 1, 2)}" in out


def test_every_part_of_a_union_is_looked_at(tmp_path: Path) -> None:
    """Test pictures of the second among the first's to train on; that two test parts share some is no harm."""
    a, b = healthy(tmp_path / "a"), healthy(tmp_path / "b")
    for seed, file in enumerate(sorted(b.glob("*/*.jpg"))):
        save(file, picture(5000 + seed))
    (a / TRAIN / name(1, 1, 1)).write_bytes((b / QUERY / name(5, 1, 1)).read_bytes())
    save(a / TRAIN / name(2, 1, 1), Image.open(b / GALLERY / name(7, 2, 2)))
    (a / GALLERY / name(6, 1, 2)).write_bytes((b / GALLERY / name(8, 1, 2)).read_bytes())
    save(a / GALLERY / name(8, 1, 2), Image.open(b / QUERY / name(7, 1, 1)))
    (b / GALLERY / name(6, 1, 2)).unlink()
    sets = ",".join(f"{{dataset:market1501,name:{one.name},root:{one}}}" for one in (a, b))
    file = tmp_path / "found.json"
    out = in_process(SCRIPT, "dataset=union", f"dataset.sets=[{sets}]", f"output={file}").check(1).out
    found = json.loads(file.read_text())
    files = {f["name"]: [sorted(together) for together in f["files"]] for f in found["findings"]}
    assert files == {
        "images shared by train and test": [[str(a / TRAIN / name(1, 1, 1)), str(b / QUERY / name(5, 1, 1))]],
        "pairs of near copies across train and test": [
            [str(a / TRAIN / name(2, 1, 1)), str(b / GALLERY / name(7, 2, 2))]
        ],
        "b: queries without a match, identity only in the query's own camera": [[str(b / QUERY / name(6, 2, 1))]],
    }
    assert found["parts"]["gallery"] == {"images": 23, "identities": 4 + 4 + 2, "cameras": 4}
    assert len(found["people"]["test"]["cameras"]) == 4
    assert "can be used, but see 3 warnings" in out


def test_the_page_shows_every_finding_and_asks_nobody(sick: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    in_process(SCRIPT, *arguments(sick, f"output={page}")).check(2)
    text = page.read_text()
    Reader(text.replace("<wbr>", ""))  # every other tag is closed in turn
    assert text.count('class="card finding') == 11
    assert text.count('src="data:image/jpeg') >= 10
    assert "cannot<br>be read" in text
    assert "http:" not in text
    assert "https:" not in text


def labels_told(out: str) -> tuple[str, list[str]]:
    """What the opening line of a run says of the labels, and the arguments of the command that it names."""
    (line,) = [line for line in out.splitlines() if line.startswith("labels ")]
    found, command = line.removeprefix("labels").strip().removesuffix(" tells more").split("; ")
    return found, shlex.split(command)


def test_training_opens_with_what_the_labels_show(toy: Path, tmp_path: Path) -> None:
    root = tmp_path / "my set"
    shutil.copytree(toy, root)
    somebody = min(file.name for file in (root / TRAIN).glob("0*"))[:5]
    for file in sorted((root / TRAIN).glob(f"{somebody}*"))[1:]:
        file.unlink()
    given = ["dataset=market1501", f'dataset.root="{root}"', "dataset.name=mine", "trainer.max_epochs=1"]
    outcome = in_process("train.py", *small(toy, tmp_path, *given)).check()
    found, command = labels_told(outcome.out)
    assert found == "training identities with one image: 1"
    assert command[:2] == ["python", SCRIPT]
    assert found in in_process(*command[1:]).check(1).out
    resumed = in_process("train.py", f"resume={outcome.run}", "trainer.max_epochs=2").check()
    assert labels_told(resumed.out) == (found, ["python", SCRIPT, "dataset=..."])


def test_no_query_with_a_match(tmp_path: Path) -> None:
    root = healthy(tmp_path / "set")
    for pid in (5, 6, 7, 8):
        for camera in (1, 2):
            file = root / GALLERY / name(pid, camera, 2)
            file.rename(file.with_name(name(pid + 10, camera, 2)))
    out = in_process(SCRIPT, *arguments(root)).check(2).out
    assert "queries without a match, identity not in the gallery: 8" in out


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("protocol=market", "error: protocol='market' is unknown"),
        ("workers=0", "error: workers=0 must be at least 1"),
        ("output=page.txt", "error: output=page.txt must be a .html or .json file"),
        ("dataset.strict=x", "error: dataset.strict=x must be true or false"),
        ("worker=2", "error: unknown config key 'worker': did you mean workers"),
    ],
)
def test_options_that_do_not_fit(given: str, says: str, tmp_path: Path) -> None:
    (line,) = in_process(SCRIPT, *arguments(healthy(tmp_path / "set"), given)).check(2).err.splitlines()
    assert line.startswith(says)
