"""A tour of networks: a row for each, whatever becomes of it, and going on where it was."""

import csv
import json
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, in_subprocess, small
from cli.outcome import log, numbers

SCRIPT = "scripts/tour.py"


def options(toy: Path, work: Path, *given: str) -> list[str]:
    """Those of a tiny training, without what a tour sets itself."""
    own = ("backbone=", "backbone.pretrained=", "run.root=")
    return [o for o in small(toy, work, "trainer.max_epochs=1", *given) if not o.startswith(own)]


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "tour.csv").open(newline="") as file:
        return {row["network"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def toured(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Outcome]:
    """MobileNetV2, and Inception-v3, which cannot take images of 64x32."""
    work = tmp_path_factory.mktemp("tour")
    given = [f"folder={work / 'tour'}", *options(toy, work)]
    return work / "tour", given, in_subprocess(SCRIPT, "backbones=[inception_v3,mobilenet_v2]", *given)


@pytest.mark.slow
def test_a_network_that_fails_is_one_row_and_the_others_finish(toured: tuple[Path, list[str], Outcome]) -> None:
    folder, _, outcome = toured
    outcome.check(1)
    found = rows(folder)
    assert list(found) == ["inception_v3", "mobilenet_v2"]
    assert "image.size=[64,32] does not fit this backbone" in found["inception_v3"]["failed"]
    assert found["inception_v3"]["mAP"] == found["inception_v3"]["run"] == ""
    (line,) = [x for x in outcome.out.splitlines() if x.startswith("inception_v3")]
    assert "failed: image.size=[64,32] does not fit" in line
    assert outcome.err == ""


@pytest.mark.slow
def test_a_row_holds_what_the_run_measured(toured: tuple[Path, list[str], Outcome]) -> None:
    folder, _, outcome = toured
    row = rows(folder)["mobilenet_v2"]
    run = Path(row["run"])
    assert run.is_relative_to(folder / "mobilenet_v2")
    assert float(row["mAP"]) == numbers(run)["mAP"]
    assert float(row["rank_1"]) == numbers(run)["rank-1"]
    assert len(log(run)) == 1
    own = 2_223_872  # of Sandler et al.'s net without classifier, to which a neck and a classifier of 8 are added
    assert float(row["parameters"]) == pytest.approx((own + 2 * 1280 + 8 * 1280) / 1e6)
    with (run / "train_log.csv").open(newline="") as file:
        (epoch,) = csv.DictReader(file)
    assert float(row["images_per_s"]) == pytest.approx(float(epoch["images_per_s"]))
    assert row["failed"] == ""
    shown = f"{100 * numbers(run)['mAP']:.1f}%"
    assert shown in (folder / "tour.md").read_text()
    assert shown in outcome.out.splitlines()[-3]


@pytest.mark.slow
def test_going_on_trains_only_what_has_no_numbers(toured: tuple[Path, list[str], Outcome]) -> None:
    folder, given, _ = toured
    before = rows(folder)["mobilenet_v2"]
    again = in_process(SCRIPT, "backbones=[mobilenet_v2]", *given).check()
    assert f"{folder}: 1 of 1 are there already" in again.out
    assert rows(folder)["mobilenet_v2"] == before
    assert len(list((folder / "mobilenet_v2").glob("*/*"))) == 1
    other = in_process(SCRIPT, "backbones=[mobilenet_v2]", *given, "seed=1").check(2)
    assert f"folder={folder} holds a tour with other options" in other.err
    assert len(json.loads((folder / "tour.json").read_text())["rows"]) >= 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["backbones=[resnet18,resnet51]"], "backbones=resnet51 is unknown: did you mean resnet50"),
        (["backbones=[resnet18]", "optimzer.lr=1"], "unknown config key 'optimzer.lr'"),
        (["backbones=[resnet18]", "optimizer.lr"], "write key=value"),
        (["backbones=[resnet18]", "seed=1,2"], "a tour gives every network one value"),
        (["backbone=resnet18"], "backbone=resnet18 is not for a tour: use backbones=[...]"),
        (["run.root=elsewhere"], "run.root=elsewhere is not for a tour: use folder=FOLDER"),
        (["backbones=[]"], "names no network"),
    ],
)
def test_bad_input_is_told_before_anything_is_trained(given: list[str], says: str, tmp_path: Path) -> None:
    outcome = in_process(SCRIPT, f"folder={tmp_path / 'tour'}", *given).check(2)
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err
    assert not (tmp_path / "tour").exists()
