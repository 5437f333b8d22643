"""Several sets trained on as one, and a model judged on several: from the command line to the table."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli.entry import Outcome, in_process, small
from cli.outcome import numbers
from cli.test_runs import MEASURES, ranks_by_definition, records
from omegaconf import OmegaConf
from reference import brute_force

from reid.data import toy as toy_set


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other people in front of other cameras, in the layout of Market-1501."""
    root = tmp_path_factory.mktemp("data") / "other"
    toy_set.render(root, train_identities=6, test_identities=5, seed=1)
    return root


@pytest.fixture(scope="module")
def both(toy: Path, other: Path) -> str:
    """The two sets, as a list on the command line."""
    ours = f"{{name:toy,root:{toy},train_identities:8,test_identities:4}}"
    return f"[{ours},{{dataset:market1501,name:other set,root:{other}}}]"


@pytest.fixture(scope="module")
def joint(both: str, toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    given = ["dataset=union", f"dataset.sets={both}", "dataset.val_fraction=0.3", "trainer.max_epochs=1"]
    return in_process("train.py", *small(toy, tmp_path_factory.mktemp("joint"), *given)).check()


def rows(out: str) -> dict[str, list[str]]:
    """The table at the end: name -> cells."""
    lines = out[out.index("     mAP") :].splitlines()[2:]
    found = {line[:12].strip(): line[12:].split() for line in lines[: lines.index("")]}
    assert found
    return found


def share(value: float) -> str:
    return f"{value:.1%}"


def test_each_set_is_judged_apart_under_its_own_labels(joint: Outcome, toy: Path, other: Path) -> None:
    run, table = joint.run, rows(joint.out)
    told = numbers(run)
    assert [t["dataset"] for t in told["targets"]] == list(table) == ["toy", "other set"]
    for target, root in zip(told["targets"], (toy, other), strict=True):
        query, gallery = records(root / "query"), records(root / "bounding_box_test")
        ranks = ranks_by_definition(run / told["checkpoint"], query, gallery)
        assert target["mAP"] == pytest.approx(np.mean([brute_force.average_precision(r) for r in ranks]), abs=1e-12)
        assert target["rank-1"] == pytest.approx(brute_force.cmc(ranks, 1), abs=1e-12)
        assert target["protocol"].startswith("market1501: ")
        cells = [share(target[name]) for name in ("mAP", "rank-1", "rank-5", "rank-10", "mINP")]
        assert table[target["dataset"]] == [*cells, str(len(query)), str(len(gallery))]


def test_the_first_target_stands_where_a_single_one_would(joint: Outcome, finished: Outcome) -> None:
    told, single = numbers(joint.run), numbers(finished.run)
    assert set(told) == {*single, "targets"}
    assert {k: told[k] for k in MEASURES} == {k: told["targets"][0][k] for k in MEASURES}
    assert told["dataset"] == "toy"


def test_the_run_folder_tells_of_every_set(joint: Outcome, toy: Path, other: Path) -> None:
    run = joint.run
    for file, root in (("per_query.csv", toy), ("per_query_other_set.csv", other)):
        with (run / file).open(newline="") as content:
            assert [r["query"] for r in csv.DictReader(content)] == [r.path.name for r in records(root / "query")]
    data = json.loads((run / "data.json").read_text())
    images = [len(list((root / "bounding_box_train").iterdir())) for root in (toy, other)]
    assert [(s["name"], s["train"]["images"], s["train"]["identities"]) for s in data["sets"]] == [
        ("toy", images[0], 8), ("other set", images[1], 6),
    ]  # fmt: skip
    assert data["name"] == "union (toy + other set)"
    assert data["train"]["identities"] == 14 - round(0.3 * 14)
    assert "images of 10 identities; 4 identities held out to choose on" in joint.out
    assert f"other set: {len(records(other / 'query'))} queries" in joint.out
    page = (run / "report.html").read_text()
    assert "Targets" in page
    assert share(numbers(run)["targets"][1]["mAP"]) in page
    spelt = OmegaConf.load(run / "config.yaml").dataset.sets  # what the names stood for then
    assert [s.root for s in spelt] == [str(toy), str(other)]
    assert spelt[1]["_target_"] == "reid.data.readers.market1501.read"


def test_judging_again_gives_the_same_for_all(joint: Outcome, tmp_path: Path) -> None:
    cache = f"image.cache_dir={tmp_path / 'cache'}"
    again = in_process("eval.py", f"run={joint.run}", cache).check()
    assert rows(again.out) == rows(joint.out)
    assert again.out.rstrip().endswith(f"the same as in {joint.run / 'metrics.json'}")
    run = Path(shutil.copytree(joint.run, tmp_path / "run"))
    told = numbers(run)
    was, told["targets"][1]["mAP"] = told["targets"][1]["mAP"], 0.123
    (run / "metrics.json").write_text(json.dumps(told))
    changed = in_process("eval.py", f"run={run}", cache).check()
    assert f"not as in {run / 'metrics.json'}: mAP of other set is {was}, was 0.123" in changed.out


def test_a_stopped_run_goes_on_with_its_sets(joint: Outcome, tmp_path: Path) -> None:
    run = Path(shutil.copytree(joint.run, tmp_path / "run"))
    (run / "per_query_gone.csv").write_text("of a target that there is no more")
    resumed = in_process("train.py", f"resume={run}", "trainer.max_epochs=2").check()
    assert list(rows(resumed.out)) == ["toy", "other set"]
    assert {f.name for f in run.glob("per_query*")} == {"per_query.csv", "per_query_other_set.csv"}


def test_a_run_is_compared_on_its_first_target(joint: Outcome, toy: Path) -> None:
    outcome = in_process("eval.py", f"eval.compare=[{joint.run},{joint.run}]").check()
    assert f"on {toy}" in outcome.out
    assert "+0.00" in outcome.out


def test_a_trained_model_is_judged_on_sets_that_are_named(
    finished: Outcome, both: str, toy: Path, other: Path, tmp_path: Path
) -> None:
    output, cache = tmp_path / "out.json", f"image.cache_dir={tmp_path / 'cache'}"
    third = f"{{dataset:market1501,name:strict,root:{other},protocol:cross_camera_only}}"
    named = f"eval.targets={both[:-1]},{third}]"
    outcome = in_process("eval.py", f"run={finished.run}", named, f"output={output}", cache).check()
    found = json.loads(output.read_text())
    alone = tmp_path / "alone.json"
    set_alone = ["dataset=market1501", f"dataset.root={other}", f"output={alone}", cache]
    in_process("eval.py", f"run={finished.run}", *set_alone).check()
    toy_, other_, strict = found["targets"]
    assert {k: toy_[k] for k in MEASURES} == {k: numbers(finished.run)[k] for k in MEASURES}
    assert {k: other_[k] for k in MEASURES} == {k: json.loads(alone.read_text())[k] for k in MEASURES}
    assert strict["protocol"].startswith("cross_camera_only: ")
    assert "(toy, other set)" in outcome.out
    assert "the same as" not in outcome.out

    (tmp_path / "people.csv").write_text("pid,role\n1,nurse\n2,visitor\n")
    told = [f"run={finished.run}", named, f"eval.attributes={tmp_path / 'people.csv'}"]
    assert "eval.attributes tells of the people of one set" in in_process("eval.py", *told).check(2).err

    asked = ["eval.protocol=no_camera", f"output={output}", cache]
    in_process("eval.py", f"checkpoint={finished.run / 'checkpoints' / 'last.ckpt'}", named, *asked).check()
    stamps = {target["protocol"] for target in json.loads(output.read_text())["targets"]}
    assert len(stamps) == 1
    assert stamps.pop().startswith("no_camera: ")


def test_a_set_without_a_test_part_is_trained_on_for_other_targets(both: str, toy: Path, tmp_path: Path) -> None:
    own = ["dataset=lpw", "dataset._target_=cli.bad_sets.train_only", f"dataset.root={toy}"]
    given = small(toy, tmp_path, *own, f"eval.targets={both}", "trainer.max_epochs=1")
    done = in_process("train.py", *given).check()
    assert "_lpw_" in done.run.name
    data = json.loads((done.run / "data.json").read_text())
    assert [t["name"] for t in data["targets"]] == ["toy", "other set"]
    again = in_process("eval.py", f"run={done.run}").check()
    assert rows(again.out) == rows(done.out)
    assert "the same as" in again.out


def test_a_protocol_asked_for_goes_over_those_of_the_targets(both: str, toy: Path, tmp_path: Path) -> None:
    given = [f"eval.targets={both}", "eval.protocol=cross_camera_only", "trainer.max_epochs=1"]
    run = in_process("train.py", *small(toy, tmp_path, *given)).check().run
    assert all(t["protocol"].startswith("cross_camera_only: ") for t in numbers(run)["targets"])
    assert "the same as" in in_process("eval.py", f"run={run}").check().out


def test_the_identity_limit_holds_for_each_set(both: str, toy: Path, tmp_path: Path) -> None:
    given = ["dataset=union", f"dataset.sets={both.replace('name:toy', 'name:toy,limit_identities:2')}"]
    more = ["dataset.limit_identities=3", "trainer.max_epochs=1"]
    run = in_process("train.py", *small(toy, tmp_path, *given, *more)).check().run
    told = json.loads((run / "data.json").read_text())["sets"]
    assert [s["train"]["identities"] for s in told] == [2, 3]


def test_the_doctor_looks_at_what_a_union_trains_on(both: str, tmp_path: Path) -> None:
    output = tmp_path / "found.json"
    given = ["dataset=union", f"dataset.sets={both}", f"output={output}"]
    outcome = in_process("scripts/doctor.py", *given)
    assert outcome.code in (0, 1), outcome
    assert json.loads(output.read_text())["parts"]["train"]["identities"] == 14
