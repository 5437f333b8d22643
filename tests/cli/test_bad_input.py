"""Every slip a user can make ends in one line that names it and the way out, exit code 2 and nothing half-written."""

import hashlib
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import bad_options, bad_runs, bad_sets
from cli.case import Case, market, train
from cli.entry import Outcome, in_process, in_subprocess, small
from cli.spoil import (
    cut,
    gallery_without_other_cameras,
    gallery_without_queried_people,
    loop,
    pickled_attack,
    remove,
    rename,
    save,
    saved_attack,
    write,
)  # fmt: skip

import reid

UNREADABLE = "not a readable image"
SKIP = "data.skip_unreadable=true"
ON_TOY = ("dataset=market1501", "dataset.name=mine", "dataset.root={toy}")

CASES = [
    # the data set
    train("folder missing", "dataset=market1501", "dataset.root={work}/none", own_process=True,
          says=["dataset.root={work}/none is not a folder", "bounding_box_train/, query/ and bounding_box_test/"]),
    market("folder empty", "{set}", ["dataset.root={set} has no folder 'bounding_box_train'", "must hold"],
           remove("set/*")),
    market("one level too high", "{work}", ["dataset.root={work}", "did you mean dataset.root={set}?"]),
    market("one level too low", "{set}/query", ["dataset.root={set}/query", "did you mean dataset.root={set}?"]),
    market("no name parses", "{set}", ["{set}/bounding_box_train", "none of its", "0002_c1s1_000451_03.jpg", "image_"],
           rename("bounding_box_train", lambda name: f"image_{name}")),
    market("no image", "{set}", ["{set}/query holds no .jpg or .png image"], remove("set/query/*")),
    market("query folder missing", "{set}", ["dataset.root={set} has no folder 'query'"], remove("set/query")),
    train("training image truncated", *ON_TOY[:2], "dataset.root={set}", own_process=True,
          says=["{set}/bounding_box_train/", ".jpg: ", UNREADABLE, SKIP], prepare=cut("set/bounding_box_train/*.jpg")),
    market("query image truncated", "{set}", ["{set}/query/", ".jpg: ", UNREADABLE, SKIP], cut("set/query/*.jpg")),
    *[train(f"query image that leads to itself, {cache}", *ON_TOY[:2], "dataset.root={set}", f"image.cache={cache}",
            says=["{set}/query/0009_c1s1_000451_00.jpg: ", "mend or remove it"],
            prepare=loop("set/query/0009_c1s1_000451_00.jpg")) for cache in ("disk", "false")],
    market("no query person in the gallery", "{set}", ["none of the 12 queries has a true match", "not in the gallery",
           "check that query and gallery come from the same split"], gallery_without_queried_people),
    market("only the query's own camera", "{set}", ["has a true match", "only in the query's own camera", "no_camera"],
           gallery_without_other_cameras),
    *[market(f"query of identity {pid}", "{set}", [f"identity {pid}", "reserves for junk or distractors", "from 1"],
             rename("query", lambda name, pid=pid: f"{pid}_{name.split('_', 1)[1]}")) for pid in ("0", "-1")],
    train("toy set of other arguments", "dataset.train_identities=9", says=["dataset.root={toy} was rendered with",
          "remove it or choose another dataset.root"]),
    train("toy folder holds something else", "dataset.root={work}", says=["dataset.root={work} is not a rendered toy"]),
    # weights
    train("weights missing", "backbone.weights={work}/net.pth", says=["backbone.weights={work}/net.pth: no such file"]),
    train("weights damaged", "backbone.weights={work}/net.pth", says=["backbone.weights={work}/net.pth is truncated"],
          prepare=lambda work: (torch.save({"a": torch.zeros(9999)}, work / "net.pth"), cut("net.pth")(work))),
    train("weights of another net", "backbone.weights={work}/net.pth",
          says=["{work}/net.pth does not fit", "choose the backbone it was made for"],
          prepare=save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "net.pth")),
    train("weights that run code", "backbone.weights={work}/net.pth", prepare=pickled_attack,
          says=["backbone.weights={work}/net.pth is not a file of plain tensors", "could run code"]),
    train("saved weights that run code", "backbone.weights={work}/net.pth", prepare=saved_attack,
          says=["backbone.weights={work}/net.pth is not a file of plain tensors", "could run code"]),
    # places
    train("run root not writable", "run.root={work}/file/x", prepare=write("file"),
          says=["run.root={work}/file/x cannot be written", "choose another"]),
    train("run name is a path", "run.name=a/b", says=["run.name=a/b", "run.root=FOLDER"]),
    train("cache not writable", "image.cache_dir={work}/file/x", prepare=write("file"),
          says=["{work}/file/x", "choose another image.cache_dir"]),
    train("cache is a file", "image.cache_dir={work}/file", prepare=write("file"),
          says=["cannot write the image store in {work}/file: File exists", "choose another image.cache_dir"]),
    train("cache leads to itself", "image.cache_dir={work}/loop", prepare=loop("loop"),
          says=["cannot write the image store in {work}/loop: ", "choose another image.cache_dir"]),
]  # fmt: skip
CASES += [*bad_options.CASES, *bad_runs.CASES, *bad_sets.CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_names_it_and_nothing_is_left_behind(case: Case, toy: Path, finished: Outcome, tmp_path: Path) -> None:
    places = {"toy": toy, "work": tmp_path, "set": tmp_path / "set", "run": tmp_path / "run"}
    text = " ".join([*case.given, *case.says])
    if "{set}" in text:
        shutil.copytree(toy, tmp_path / "set")
    if "{run}" in text:
        shutil.copytree(finished.run, tmp_path / "run")
    if case.prepare is not None:
        case.prepare(tmp_path)
    given = [g.format(**places) for g in case.given]
    if case.script == "eval.py" or case.given[0].startswith("resume="):
        given.append(f"image.cache_dir={tmp_path / 'cache'}")
    else:
        given = small(toy, tmp_path, *given)
    before = contents(tmp_path / "run")

    outcome = (in_subprocess if case.own_process else in_process)(case.script, *given)

    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.out + outcome.err
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    for said in case.says:
        assert said.format(**places) in line
    assert not list((tmp_path / "runs").rglob("*"))
    assert contents(tmp_path / "run") == before
    assert not [path for path in tmp_path.rglob("*") if ".partial" in path.name or path.suffix == ".lock"]
    assert not (tmp_path / "ran").exists()


def contents(folder: Path) -> dict[Path, str]:
    """Digests of all files; TensorBoard's apart, since it opens a new one whenever a run goes on."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "tensorboard")
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_unreadable_images_are_left_out_and_counted_when_asked(toy: Path, tmp_path: Path) -> None:
    shutil.copytree(toy, tmp_path / "set")
    names = {}
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        names[folder] = sorted((tmp_path / "set" / folder).glob("0[0-9][0-9][1-9]_*"))[0]
        os.truncate(names[folder], 700)
    given = ("dataset=market1501", f"dataset.root={tmp_path / 'set'}", "data.skip_unreadable=true")
    outcome = in_process("train.py", *small(toy, tmp_path, *given)).check()
    for name in names.values():
        assert [str(name) in line for line in outcome.err.splitlines() if line.startswith("WARNING: ")].count(True) == 1
    images = {folder: len(list((toy / folder).iterdir())) for folder in names}
    assert f"train    {images['bounding_box_train'] - 1} images of 8 identities" in outcome.out
    rows = np.loadtxt(outcome.run / "per_query.csv", dtype=str, delimiter=",", skiprows=1)
    assert len(rows) == images["query"] - 1
    assert names["query"].name not in rows[:, 0]
    assert '"unreadable_images_left_out": 2' in (outcome.run / "metrics.json").read_text()
    assert '"unreadable_training_images_left_out": 1' in (outcome.run / "data.json").read_text()
    assert "the same as in" in in_process("eval.py", f"run={outcome.run}").check().out  # judged as the run was


def test_full_disk_keeps_the_earlier_checkpoint(toy: Path, tmp_path: Path) -> None:
    """The checkpoint before training fits under the limit; the one after an epoch, with Adam's state, does not."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 2**20, resource.RLIM_INFINITY))

    outcome = in_subprocess("train.py", *small(toy, tmp_path), setup=limit).check(2)
    run = outcome.run
    last = run / "checkpoints" / "last.ckpt"
    assert "Traceback" not in outcome.out + outcome.err
    (line,) = [line for line in outcome.err.splitlines() if not line.startswith("epoch 1/2")]
    assert line.startswith(f"error: cannot write {last} (")
    assert line.endswith("free some space or choose another folder; the earlier one is kept")
    assert {path.name for path in last.parent.iterdir()} == {"last.ckpt"}
    assert reid.load(last).dim == 1280
    resumed = in_process("train.py", f"resume={run}").check()
    assert "epoch 1/2" in resumed.err
    assert "epoch 2/2" in resumed.err
