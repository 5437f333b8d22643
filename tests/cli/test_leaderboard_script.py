"""scripts/leaderboard.py as a user runs it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from board_runs import write
from cli.entry import Outcome, in_process
from report.pages import Reader

SCRIPT = "scripts/leaderboard.py"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "my runs, all"
    for i, name in enumerate(("resnet18", "resnet50")):
        write(root / "2026-01-01" / name, np.linspace(0.1 + 0.2 * i, 0.7, 24), changes={"backbone__name": name})
    return root


def test_folders_are_named_by_word_or_key(runs: Path) -> None:
    by_word = in_process(SCRIPT, str(runs)).check()
    assert by_word.err == ""
    assert by_word.out.startswith(f"2 runs in {runs}: 2 finished\n")
    assert by_word.out.index("resnet50") < by_word.out.index("resnet18")
    assert in_process(SCRIPT, f"runs='{runs}'").check().out == by_word.out
    both = in_process(SCRIPT, *(str(path) for path in sorted((runs / "2026-01-01").iterdir())), "top=1").check().out
    assert "2 finished" in both
    assert "and 1 more" in both


def test_files_are_written_where_asked(runs: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"board.{kind}" for kind in ("html", "md", "csv")]
    out = in_process(SCRIPT, str(runs), f"output=[{','.join(map(str, files))}]").check().out
    assert out.endswith(f"\nwritten  {', '.join(map(str, files))}\n")
    assert "resnet50" in Reader(files[0].read_text()).text
    assert "| resnet50 |" in files[1].read_text()
    with files[2].open(newline="") as file:
        assert [line["backbone.name"] for line in csv.DictReader(file)] == ["resnet50", "resnet18"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["{runs}/none"], "runs={runs}/none is missing: give a folder of runs"),
        (["{empty}"], "runs={empty} has no run in it"),
        (["{runs}", "metric=map"], "metric=map is unknown: known are mAP, rank-1"),
        (["{runs}", "top=0"], "top=0 must be at least 1"),
        (["{runs}", "top=many"], "top=many must be a whole number or null"),
        (["{runs}", "output=board.pdf"], "output=board.pdf must be a .html, .md or .csv file"),
        (["{runs}", "output={runs}/no/board.md"], "must be a .html, .md or .csv file in a folder that exists"),
        (["{runs}", "ignore=[1]"], "ignore=[1] must be a text or a list of texts"),
        (["runs=[]"], "runs=[] names no folder"),
        (["{runs}", "ignored=[a]"], "unknown config key 'ignored': did you mean ignore?"),
    ],
)
def test_a_slip_is_one_line(given: list[str], says: str, runs: Path, tmp_path: Path) -> None:
    simple = runs.rename(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    places = {"runs": str(simple), "empty": str(tmp_path / "empty")}
    outcome: Outcome = in_process(SCRIPT, *(g.format(**places) for g in given)).check(2)
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert says.format(**places) in outcome.err
    assert outcome.out == ""
