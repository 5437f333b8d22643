"""scripts/preview.py as a user runs it."""

import re
from pathlib import Path

import pytest
from cli.entry import in_process
from report.pages import Reader

SCRIPT = "scripts/preview.py"


def arguments(toy: Path, page: Path, *more: str) -> list[str]:
    given = [f"dataset.root={toy}", "dataset.train_identities=8", "dataset.test_identities=4", "image.size=[64,32]"]
    return [*given, f"output={page}", *more]


def test_the_page_and_what_is_said_of_it(toy: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    more = ("images=4", "draws=3", "augment=standard", "augment.grayscale=0.2", "mix=mixup")
    outcome = in_process(SCRIPT, *arguments(toy, page, *more)).check()
    assert outcome.err == ""
    told = dict(re.findall(r"^(\w+) +(.+)$", outcome.out, re.MULTILINE))
    assert list(told) == ["data", "images", "flip", "shift", "grayscale", "erase", "mix", "written"]
    assert told["images"].startswith("4 of ")
    assert "64x32" in told["images"]
    assert told["flip"] == "probability 0.5: its mirror image"
    assert told["shift"].startswith("every image: ")
    assert told["grayscale"].startswith("probability 0.2: ")
    assert told["written"] == str(page)
    text = page.read_text()
    Reader(text)  # every tag is closed in turn
    assert text.count('src="data:image/jpeg') == 4 * (1 + 3) + 4 * 5  # as they are and three draws; four and the mix
    assert "http:" not in text
    assert "https:" not in text


def test_the_seed_decides_the_page(toy: Path, tmp_path: Path) -> None:
    pages = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        in_process(SCRIPT, *arguments(toy, tmp_path / f"{name}.html", f"seed={seed}", "images=3", "draws=2")).check()
        pages.append((tmp_path / f"{name}.html").read_text())
    assert pages[0] == pages[1] != pages[2]


def test_nothing_switched_on(toy: Path, tmp_path: Path) -> None:
    out = in_process(SCRIPT, *arguments(toy, tmp_path / "page.html", "augment=none", "images=2")).check().out
    assert "nothing is switched on" in out
    assert (tmp_path / "page.html").read_text().count("data:image/jpeg") == 2 * 7


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("images=0", "error: images=0 must be at least 1"),
        ("draws=x", "error: draws=x must be a whole number"),
        ("augment.flip=2", "error: augment.flip=2 is a probability"),
        ("augment=zom", "error: augment=zom is unknown: did you mean zoom"),
        ("output=page.png", "error: output=page.png must be a .html file"),
        ("output=null", "error: output is missing"),
        ("imges=3", "error: unknown config key 'imges': did you mean images"),
    ],
)
def test_options_that_do_not_fit(given: str, says: str, toy: Path, tmp_path: Path) -> None:
    usual = [a for a in arguments(toy, tmp_path / "page.html") if a.partition("=")[0] != given.partition("=")[0]]
    (line,) = in_process(SCRIPT, *usual, given).check(2).err.splitlines()
    assert line.startswith(says)
    assert not list(tmp_path.iterdir())
