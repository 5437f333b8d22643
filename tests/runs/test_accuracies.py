"""Which run stands for a backbone."""

import json
from pathlib import Path
from typing import Any

import pytest

from reid.errors import UserError
from reid.runs.accuracies import accuracies

CONFIG = "image: {{size: [{height}, 128]}}\nbackbone: {{name: {backbone}}}\ntrainer: {{max_epochs: {epochs}}}\n"


def run(root: Path, when: str, backbone: str, *, mAP: float = 0.5, height: int = 256, epochs: int = 60, **told: Any) -> Path:  # fmt: skip # noqa: E501
    folder = root / when
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(height=height, backbone=backbone, epochs=epochs))
    numbers = {"mAP": mAP, "rank-1": 0.75, "protocol": "market1501: cosine", "dataset": "toy", **told}
    (folder / "metrics.json").write_text(json.dumps(numbers))
    return folder


def test_the_newest_finished_run_of_each_backbone(tmp_path: Path) -> None:
    run(tmp_path, "2026-01-01/09-00-00_toy_resnet50", "resnet50", mAP=0.9)
    newest = run(tmp_path, "2026-01-02/08-00-00_toy_resnet50", "resnet50", mAP=0.6, epochs=2)
    run(tmp_path, "2026-01-01/10-00-00_toy_alexnet", "alexnet", mAP=0.4, protocol="other rules")
    unfinished = run(tmp_path, "2026-01-03/10-00-00_toy_alexnet", "alexnet")
    (unfinished / "metrics.json").unlink()
    found = accuracies(tmp_path, image_size=(256, 128))
    assert set(found) == {"resnet50", "alexnet"}
    assert found["resnet50"].to_dict() == {
        "backbone": "resnet50", "dataset": "toy", "image_size": [256, 128], "protocol": "market1501: cosine",
        "epochs": 2, "mAP": 0.6, "rank-1": 0.75, "run": str(newest),
    }  # fmt: skip
    assert found["alexnet"].protocol == "other rules"  # kept, with its stamp


def test_one_size_and_one_data_set(tmp_path: Path) -> None:
    run(tmp_path, "2026-01-01/09-00-00_a", "resnet50", dataset="market1501")
    run(tmp_path, "2026-01-02/09-00-00_b", "alexnet", dataset="toy")
    run(tmp_path, "2026-01-03/09-00-00_c", "vgg16", height=384, dataset="toy")
    assert set(accuracies(tmp_path, image_size=(256, 128))) == {"alexnet"}  # of the newest run at that size
    assert set(accuracies(tmp_path, image_size=(256, 128), dataset="market1501")) == {"resnet50"}
    assert set(accuracies(tmp_path, image_size=[384, 128])) == {"vgg16"}


@pytest.mark.parametrize("more", ["eval: {targets: [{name: mine}]}\n", "dataset: {name: own, sets: [toy, mine]}\n"])
def test_a_run_trained_on_something_else_is_no_run_on_its_target(tmp_path: Path, more: str) -> None:
    run(tmp_path, "2026-01-01/09-00-00_a", "resnet50", dataset="mine")
    with (run(tmp_path, "2026-01-02/09-00-00_b", "resnet50", dataset="mine") / "config.yaml").open("a") as config:
        config.write(more if "dataset" in more else f"dataset: {{name: own}}\n{more}")
    assert accuracies(tmp_path, image_size=(256, 128))["resnet50"].dataset == "own -> mine"
    assert accuracies(tmp_path, image_size=(256, 128), dataset="mine")["resnet50"].run.name == "09-00-00_a"


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    assert accuracies(tmp_path / "none", image_size=(256, 128)) == {}


@pytest.mark.parametrize(("file", "content"), [
    ("metrics.json", "{"), ("metrics.json", "{}"), ("metrics.json", "[]"), ("config.yaml", "a: ["),
    ("config.yaml", "[1]"), ("config.yaml", "image: {size: 3}"), ("config.yaml", None),
])  # fmt: skip
def test_a_damaged_run_is_named(tmp_path: Path, file: str, content: str | None) -> None:
    folder = run(tmp_path, "2026-01-01/09-00-00_a", "resnet50")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(UserError, match="09-00-00_a cannot be read as a run.*move it elsewhere"):
        accuracies(tmp_path, image_size=(256, 128))
