"""A training from the command line to its run folder; judging it again; stopping it and going on."""

import csv
import json
import os
import platform
import re
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.entry import ROOT, Outcome, in_process, in_subprocess, small
from cli.outcome import STOPPING, assert_quiet, assert_same_training, log, numbers, same_bits, saved
from omegaconf import OmegaConf
from PIL import Image
from reference import brute_force

import reid
from reid.data.records import Record, hold_out
from reid.data.toy import read as read_toy
from reid.models.checkpoint import load_trained

MEASURES = ("mAP", "rank-1", "rank-5", "rank-10", "rank-20", "mINP")


def embed(checkpoint: Path, records: list[Record]) -> np.ndarray:
    """Through the public door alone: PIL and ``reid.load``."""
    embedder = reid.load(checkpoint)
    height, width = embedder.image_size
    pixels = []
    for record in records:
        with Image.open(record.path) as image:
            pixels.append(np.array(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)))
    with torch.inference_mode():
        return embedder(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)).numpy()


def ranks_by_definition(checkpoint: Path, query: list[Record], gallery: list[Record]) -> list[list[int]]:
    found, features = embed(checkpoint, query), embed(checkpoint, gallery)
    pids, camids = [r.pid for r in gallery], [r.camid for r in gallery]
    return [
        brute_force.match_ranks(f, r.pid, r.camid, features, pids, camids, distance="cosine")
        for f, r in zip(found, query, strict=True)
    ]


def records(folder: Path) -> list[Record]:
    names = [(path, re.match(r"(-1|\d+)_c(\d)", path.name)) for path in sorted(folder.iterdir())]
    return [Record(path, int(m[1]), int(m[2])) for path, m in names if m]


# --- the run folder


def test_run_folder_holds_what_is_documented(finished: Outcome, toy: Path) -> None:
    run = finished.run
    files = {
        "config.yaml", "environment.json", "data.json", "metrics.json", "per_query.csv", "train_log.csv", "report.html",
        "tensorboard", "checkpoints",
    }  # fmt: skip
    assert {path.name for path in run.iterdir()} == files
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d_toy_mobilenet_v2", str(run.relative_to(run.parents[1])))

    config = OmegaConf.load(run / "config.yaml")
    assert "${" not in (run / "config.yaml").read_text()
    assert (config.trainer.max_epochs, config.backbone.name, config.image.size) == (2, "mobilenet_v2", [64, 32])
    environment = json.loads((run / "environment.json").read_text())
    assert environment["python"] == platform.python_version()
    assert environment["packages"]["torch"] == metadata.version("torch")
    assert environment["command"][0] == "train.py"
    assert f"dataset.root={toy}" in environment["command"]
    data = json.loads((run / "data.json").read_text())
    parts = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
    for part, folder in parts.items():
        assert data[part]["images"] == len(list((toy / folder).iterdir()))
    assert re.fullmatch("[0-9a-f]{64}", data["fingerprint"])
    page = (run / "report.html").read_text()
    assert run.name in page
    assert f"{numbers(run)['mAP']:.1%}" in page
    assert list((run / "tensorboard").glob("events.*"))


def test_log_has_a_row_an_epoch(finished: Outcome) -> None:
    rows = log(finished.run)
    assert [(r["epoch"], r["step"], float(r["lr"])) for r in rows] == [("1", "2", 3.5e-4), ("2", "4", 3.5e-4)]
    for row in rows:
        assert float(row["loss"]) == pytest.approx(float(row["cross_entropy"]) + float(row["triplet"]), abs=2e-5)


def test_metrics_are_those_of_a_brute_force_over_the_loaded_checkpoint(finished: Outcome, toy: Path) -> None:
    run, query = finished.run, records(toy / "query")
    ranks = ranks_by_definition(run / "checkpoints" / "last.ckpt", query, records(toy / "bounding_box_test"))
    aps = [brute_force.average_precision(r) for r in ranks]
    found = numbers(run)
    assert found["mAP"] == pytest.approx(np.mean(aps), abs=1e-12)
    assert found["mINP"] == pytest.approx(np.mean([brute_force.inverse_negative_penalty(r) for r in ranks]), abs=1e-12)
    for k in (1, 5, 10, 20):
        assert found[f"rank-{k}"] == pytest.approx(brute_force.cmc(ranks, k), abs=1e-12)
    assert (found["queries"], found["queries_without_match"]) == (len(query), 0)
    assert found["checkpoint"] == "checkpoints/last.ckpt"
    assert found["model"] == "last epoch (2)"
    with (run / "per_query.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, record, ap, places in zip(rows, query, aps, ranks, strict=True):
        assert (row["query"], int(row["pid"]), int(row["camid"])) == (record.path.name, record.pid, record.camid)
        assert float(row["AP"]) == pytest.approx(ap, abs=1e-6)
        assert (int(row["first_match"]), int(row["last_match"])) == (min(places), max(places))


def test_terminal_tells_the_plan_and_the_numbers_and_nothing_else(finished: Outcome, toy: Path) -> None:
    assert_quiet(finished, 2)
    told = dict(re.findall(r"^(\w+)  +(.+)$", finished.out, re.MULTILINE))
    train, query, gallery = (
        len(list((toy / f).iterdir())) for f in ("bounding_box_train", "query", "bounding_box_test")
    )
    assert told["train"] == f"{train} images of 8 identities"
    assert told["test"] == f"{query} queries, {gallery} gallery images"
    assert told["labels"] == "healthy"
    assert told["net"].startswith("mobilenet_v2, 2.2 M parameters")
    assert told["weights"] == "from scratch (backbone.pretrained=false)"
    assert told["batch"] == "8 images, 2 steps an epoch, 2 epochs"
    assert told["seed"].startswith("0, source ")
    found = numbers(finished.run)
    shares = [f"{found[name]:.1%}" for name in ("mAP", "rank-1", "rank-5", "rank-10", "mINP")]
    assert " ".join(shares) in " ".join(finished.out.split())
    assert told["protocol"] == found["protocol"]
    assert told["again"] == f"python eval.py run={finished.run}"
    assert Path(told["report"]) == finished.run / "report.html"


# --- judging again


def table(out: str) -> str:
    return out[out.index("     mAP") : out.index("queries ")]


def test_eval_of_the_run_gives_the_same_numbers(finished: Outcome, tmp_path: Path) -> None:
    again = in_subprocess("eval.py", f"run={finished.run}", f"image.cache_dir={tmp_path}").check()
    assert again.err == ""
    assert table(again.out) == table(finished.out)
    assert again.out.rstrip().endswith(f"the same as in {finished.run / 'metrics.json'}")


def test_eval_says_where_the_numbers_differ(finished: Outcome, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished.run, tmp_path / "run"))
    told = numbers(run)
    (run / "metrics.json").write_text(json.dumps({**told, "mAP": 0.123}))
    again = in_process("eval.py", f"run={run}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert f"not as in {run / 'metrics.json'}: mAP is {told['mAP']}, was 0.123" in again.out


def test_eval_of_a_checkpoint_on_another_data_set(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    checkpoint, output = finished.run / "checkpoints" / "last.ckpt", tmp_path / "numbers.json"
    given = [f"checkpoint={checkpoint}", "dataset=market1501", f"dataset.root={toy}", f"output={output}"]
    again = in_process("eval.py", *given, f"image.cache_dir={tmp_path / 'cache'}").check()
    told = json.loads(output.read_text())
    assert {k: told[k] for k in MEASURES} == {k: numbers(finished.run)[k] for k in MEASURES}
    assert told["dataset"] == "market1501"
    assert "the same as" not in again.out


def test_another_data_set_is_judged_by_its_own_protocol(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    output, cache = tmp_path / "numbers.json", f"image.cache_dir={tmp_path / 'cache'}"
    given = [f"run={finished.run}", "dataset=market1501", f"dataset.root={toy}", f"output={output}", cache]
    for more, expected in ((["dataset.protocol=no_camera"], "no_camera"), ([], "market1501")):
        in_process("eval.py", *given, *more).check()
        assert json.loads(output.read_text())["protocol"].startswith(expected)
    in_process("eval.py", *given, "dataset.protocol=no_camera", "eval.protocol=cross_camera_only").check()
    assert json.loads(output.read_text())["protocol"].startswith("cross_camera_only")


def test_eval_without_a_word_takes_the_run_that_wrote_last(finished: Outcome, tmp_path: Path) -> None:
    for name, age in {"12-00-00_new": 10, "13-00-00_old": 1000}.items():
        run = shutil.copytree(finished.run, tmp_path / "runs" / "2026-01-01" / name)
        then = (finished.run / "config.yaml").stat().st_mtime - age
        os.utime(run / "checkpoints" / "last.ckpt", (then, then))
    again = in_process("eval.py", f"run_root={tmp_path / 'runs'}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert re.search(r"^checkpoint +.*/12-00-00_new/checkpoints/last.ckpt \(epoch 2\)$", again.out, re.MULTILINE)


# --- other ways to train


def test_a_network_that_looks_at_cameras_is_judged_as_it_was_trained(toy: Path, tmp_path: Path) -> None:
    vit = ["backbone=timm", "backbone.name=test_vit", "backbone.cameras=auto", "image.size=[64,32]"]
    run = in_process("train.py", *small(toy, tmp_path, *vit)).check().run
    seen = sorted({r.camid for r in records(toy / "bounding_box_train")})
    trained = load_trained(run / "checkpoints" / "last.ckpt")
    assert list(trained.embedder.backbone.cameras) == seen
    again = in_process("eval.py", f"run={run}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert "the same as" in again.out
    elsewhere = in_process("eval.py", f"run={run}", f"eval.targets=[{{name:market1501,root:{toy}}}]").check(2)
    assert "eval.targets: a net that was made with backbone.cameras" in elsewhere.err


def test_validation_chooses_the_checkpoint_that_is_reported(toy: Path, tmp_path: Path) -> None:
    given = ["dataset.val_fraction=0.5", "trainer.max_epochs=3", "optimizer.lr=0.01"]
    done = in_process("train.py", *small(toy, tmp_path, *given)).check()
    run, rows = done.run, log(done.run)
    assert_quiet(done, 3)
    assert "4 identities held out to choose on" in done.out
    values = [float(row["val_mAP"]) for row in rows]
    best = 1 + values.index(max(values))
    found = numbers(run)
    assert found["model"] == f"best validation mAP (epoch {best})"
    assert found["checkpoint"] == "checkpoints/best.ckpt"
    assert saved(run, "best.ckpt")["epoch"] + 1 == best
    _, validation = hold_out(read_toy(toy, train_identities=8, test_identities=4), 0.5, seed=0)
    held, rest = list(validation.query), list(validation.gallery)
    for ranks, goal in (
        (ranks_by_definition(run / "checkpoints" / "best.ckpt", held, rest), max(values)),
        (ranks_by_definition(run / "checkpoints" / "last.ckpt", held, rest), values[-1]),
    ):
        assert np.mean([brute_force.average_precision(r) for r in ranks if r]) == pytest.approx(goal, abs=1e-5)
    again = in_process("eval.py", f"run={run}", f"image.cache_dir={tmp_path / 'cache'}").check()
    assert f"the same as in {run / 'metrics.json'}" in again.out
    assert f"{run}/checkpoints/best.ckpt" in again.out


def test_moving_average_is_what_is_reported_and_goes_on(toy: Path, tmp_path: Path) -> None:
    given = ["trainer.ema=0.9", "trainer.limit_train_batches=1", "trainer.checkpoint_every_n_epochs=1"]
    unbroken = in_process("train.py", *small(toy, tmp_path, *given)).check()
    run = unbroken.run
    assert_quiet(unbroken, 2)
    assert numbers(run)["model"] == "last epoch (2), moving average 0.9"
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"epoch_001.ckpt", "epoch_002.ckpt", "last.ckpt"}
    first, second = (saved(run, f"epoch_00{n}.ckpt")["current_model_state"] for n in (1, 2))
    average, loaded = saved(run)["state_dict"], reid.load(run / "checkpoints" / "last.ckpt").state_dict()
    for name, value in loaded.items():
        if value.is_floating_point():
            own = f"embedder.{name}"
            expected = 0.9 * first[own].double() + 0.1 * second[own].double()
            torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-7)
            assert torch.equal(value, average[own])
    assert not torch.equal(first["embedder.classifier.weight"], second["embedder.classifier.weight"])

    half = in_process("train.py", *small(toy, tmp_path, *given, "trainer.max_epochs=1")).check()
    resumed = in_process("train.py", f"resume={half.run}", "trainer.max_epochs=2").check()
    assert_quiet(resumed, 2)
    assert_same_training(half.run, run)
    assert same_bits(saved(half.run)["current_model_state"], saved(run)["current_model_state"])


def test_sweep_makes_a_run_each(finished: Outcome, toy: Path, tmp_path: Path) -> None:
    before = set(ROOT.iterdir())
    in_subprocess("train.py", "-m", *small(toy, tmp_path, STOPPING, "seed=0,1")).check()
    runs = {OmegaConf.load(file).seed: file.parent for file in (tmp_path / "runs").glob("*/*/config.yaml")}
    assert set(runs) == {0, 1}
    assert_same_training(runs[0], finished.run)  # as if it had been alone
    assert log(runs[1]) != log(runs[0])
    assert set(ROOT.iterdir()) <= before | {ROOT / ".cache", ROOT / "runs"}
