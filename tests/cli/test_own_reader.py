"""A data set that a user's own function reads, named on the command line."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.entry import in_process, small

SOURCE = """
from pathlib import Path
from reid.data.records import Record, Split

def read(root: str) -> Split:
    def records(part):
        files = sorted(Path(root, part).glob("0[0-9][0-9][1-9]_*.jpg"))
        return tuple(Record(f, int(f.name[:4]), int(f.name[6])) for f in files)

    return Split("", Path(root), records("bounding_box_train"), records("query"), records("bounding_box_test"))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    (tmp_path / "own_people.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield ["dataset=lpw", "dataset._target_=own_people.read", "dataset.name=mine"]  # lpw.yaml has root alone
    sys.modules.pop("own_people", None)


def test_it_is_trained_and_judged_on_under_the_name_given(own: list[str], toy: Path, tmp_path: Path) -> None:
    run = in_process("train.py", *small(toy, tmp_path, *own, f"dataset.root={toy}", "trainer.max_epochs=1")).check().run
    told = json.loads((run / "data.json").read_text())
    assert "_mine_" in run.name
    assert json.loads((run / "metrics.json").read_text())["dataset"] == "mine"
    assert "mine" in json.dumps(told)
    again = in_process("eval.py", f"run={run}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert "the same as in" in again.out
    queries = [file for file in (toy / "query").iterdir() if file.name[3] != "0"]
    assert f"{len(queries)} queries" in again.out


def test_an_option_that_it_does_not_take_is_refused(own: list[str], toy: Path, tmp_path: Path) -> None:
    given = small(toy, tmp_path, *own, f"dataset.root={toy}", "+dataset.year=2031")
    outcome = in_process("train.py", *given).check(2)
    assert outcome.err == "error: unknown config key 'dataset.year': read takes root\n"


def test_a_module_that_is_not_there_is_told(own: list[str], toy: Path, tmp_path: Path) -> None:
    given = small(toy, tmp_path, own[0], "dataset._target_=own_peple.read", f"dataset.root={toy}")
    (line,) = in_process("train.py", *given).check(2).err.splitlines()
    assert line.startswith("error: dataset._target_=own_peple.read cannot be imported")
