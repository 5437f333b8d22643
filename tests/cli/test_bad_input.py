"""Every slip a user can make ends in one line that names it and the way out, exit code 2 and nothing half-written."""

import hashlib
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import bad_sets
from cli.case import Case, judge, market, resume, train
from cli.entry import Outcome, in_process, in_subprocess, small
from cli.spoil import (
    cut,
    flip,
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
LAST = "{run}/checkpoints/last.ckpt"
JITTER = ("brightness", "contrast", "saturation", "hue")
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
    # the command line
    train("unknown option", "backbone=resnet5O", says=["backbone=resnet5O is unknown", "did you mean resnet50"]),
    train("unknown name", "backbone.name=resnet5O",
          says=["backbone.name=resnet5O is unknown", "did you mean resnet50"]),
    train("misspelt key", "trainer.max_epoch=3", own_process=True,
          says=["unknown config key 'trainer.max_epoch'", "did you mean trainer.max_epochs"]),
    train("misspelt group", "bakbone=resnet50", says=["unknown config key 'bakbone'", "did you mean backbone"]),
    train("unknown key", "epochs=1", says=["unknown config key 'epochs'", "python train.py --help"]),
    train("key of another backbone", "backbone=osnet_x1_0", "backbone.pretrained=false",
          says=["the chosen backbone has no 'backbone.pretrained', which others have"]),
    train("unknown key added", "+epochs=1", says=["unknown config key 'epochs'", "known are", "trainer"]),
    train("unknown argument added", "+trainer.epochs=1", says=["unknown config key 'trainer.epochs'", "max_epochs"]),
    train("unknown head argument added", "+head.dropout=1", says=["unknown config key 'head.dropout'", "pooling"]),
    train("unknown logger argument added", "logger=tensorboard", "+logger.foo=1",
          says=["unknown config key 'logger.foo'", "tensorboard takes name"]),
    train("unknown loss argument added", "+objective.terms.triplet.loss.alpha=1",
          says=["unknown config key 'objective.terms.triplet.loss.alpha'", "margin"]),
    train("list with a blank", "image.size=[64,", "32]", says=["image.size=[64,", "lists without blanks"]),
    train("no value", "trainer.max_epochs", says=["cannot read 'trainer.max_epochs'", "key=value"]),
    train("option null", "recipe=null", says=["recipe=null", "~GROUP to go without one"]),
    train("class that is not there", "optimizer._target_=torch.optim.Adan",
          says=["optimizer._target_=torch.optim.Adan cannot be imported"]),
    # values
    train("epochs in words", "trainer.max_epochs=abc", says=["trainer.max_epochs=abc must be a whole number"]),
    train("no epoch", "trainer.max_epochs=0", says=["trainer.max_epochs=0 must be at least 1"]),
    train("no batch", "trainer.limit_train_batches=0", says=["trainer.limit_train_batches=0 must be at least 1"]),
    train("devices", "trainer.devices=x", says=["trainer: ", "devices"]),
    train("strategy", "trainer.strategy=foo", says=["trainer: ", "strategy", "foo"]),
    train("batch that cannot be dealt", "data.identities=3", "trainer.devices=2", "trainer.accelerator=cpu",
          says=["data.identities=3 identities of a batch cannot be dealt to 2 processes", "choose 2 or 4"]),
    train("nodes nobody started", "trainer.num_nodes=2", says=["trainer.num_nodes=2 needs", "torchrun", "srun"]),
    train("nothing accumulated", "trainer.accumulate=0", says=["trainer.accumulate=0 must be at least 1"]),
    train("accumulated in words", "trainer.accumulate=some", says=["trainer.accumulate=some must be a whole number"]),
    train("empty chunk", "trainer.chunk=0", says=["trainer.chunk=0 must be at least 1"]),
    train("chunk and auxiliary", "backbone=googlenet", "backbone.auxiliary=true", "trainer.chunk=2",
          says=["trainer.chunk and backbone.auxiliary do not go together"]),
    train("chunk and one BatchNorm", "trainer.chunk=2", "trainer.sync_batchnorm=true",
          says=["trainer.chunk=2 lets BatchNorm see a chunk at a time", "choose one"]),
    train("chunk and compile", "trainer.chunk=2", "trainer.compile=true",
          says=["trainer.chunk and trainer.compile do not go together"]),
    train("shares and average", "trainer/strategy=fsdp", "trainer.ema=0.9",
          says=["trainer.strategy=fsdp and trainer.ema do not go together"]),
    train("rate scaled from nothing", "trainer.scale_lr_from=0", says=["trainer.scale_lr_from=0 must be at least 1"]),
    train("precision", "trainer.precision=16", says=["trainer.precision=16 is unknown", "auto, 32, bf16"]),
    train("average", "trainer.ema=1", says=["trainer.ema=1 must lie between 0 and 1"]),
    train("accelerator", "trainer.accelerator=tpu", says=["trainer.accelerator=tpu", "auto, cpu or gpu"]),
    train("rate in words", "optimizer.lr=fast", says=["optimizer.lr=fast must be a number"]),
    train("rate negative", "optimizer.lr=-1", says=["optimizer: ", "-1"]),
    train("warmup", "schedule.warmup=2", says=["schedule.warmup=2 is a share of the run"]),
    train("milestones", "schedule=multistep", "schedule.milestones=x", says=["schedule: "]),
    train("size of one number", "image.size=[128]", says=["image.size=[128] must be", "[height,width]"]),
    train("size too small", "backbone=vgg16", "image.size=[16,8]", says=["image.size=[16,8]", "[32,32] would"]),
    train("frozen stage", "backbone.freeze=[layer9]", says=["backbone.freeze=layer9 names nothing", "it has "]),
    train("frozen stages in words", "backbone.freeze=stem", says=["backbone.freeze=stem must be a list"]),
    train("layer decay of 2", "backbone.layer_decay=2.0", says=["backbone.layer_decay=2.0 must be above 0"]),
    train("checkpointing in words", "backbone.checkpointing=some", says=["backbone.checkpointing=some must be true"]),
    train("timm without a name", "backbone=timm", says=["backbone.name"]),
    train("timm misspelt", "backbone=timm", "backbone.name=resnet5O", says=["no model of timm", "resnet50"]),
    train("camera unknown", "backbone=timm", "backbone.name=test_vit", "backbone.cameras=[1,2]",
          says=["camera 3 is none of those", "backbone.cameras=[1, 2]"]),
    train("cameras without tokens", "backbone=timm", "backbone.name=resnet10t", "backbone.cameras=auto",
          says=["backbone.cameras is for plain vision transformers"]),
    train("auxiliary and checkpointing", "backbone=googlenet", "backbone.auxiliary=true", "backbone.checkpointing=true",
          says=["backbone.checkpointing and backbone.auxiliary do not go together"]),
    train("cache in words", "image.cache=maybe", says=["image.cache=maybe is unknown", "disk, memory, false"]),
    train("cache null", "image.cache=null", says=["image.cache=None is unknown", "disk, memory, false"]),
    train("identities in words", "data.identities=many", says=["data.identities=many must be a whole number"]),
    train("workers negative", "data.workers=-1", says=["data.workers=-1 must be at least 0"]),
    train("more images than anyone has", "data.images=99", says=["data.images=99", "no training identity", "fewer"]),
    train("more identities than there are", "data.identities=99", says=["data.identities=99", "8 training identities"]),
    train("batch of one", "data.identities=1", "data.images=1", says=["batch of one", "raise data.identities"]),
    train("unknown sampler", "sampler=hardest", says=["sampler=hardest is unknown", "did you mean hard", "identity"]),
    train("one source set", "sampler=sets", says=["sampler=sets", "come from one", "choose sampler=identity"]),
    train("more anchors than identities", "sampler=hard", "sampler.anchors=9",
          says=["sampler.anchors=9 must be from 1 to the 8 training identities"]),
    train("anchors in words", "sampler=hard", "sampler.anchors=few", says=["sampler.anchors=few must be a whole"]),
    train("P given twice", "+sampler.identities=4", says=["unknown config key 'sampler.identities'"]),
    train("sampler of other arguments", "sampler._target_=torch.utils.data.SequentialSampler",
          says=["sampler._target_=torch.utils.data.SequentialSampler", "(pictures, batching)"]),
    train("validation share", "dataset.val_fraction=2", says=["dataset.val_fraction=2 must lie between 0 and 1"]),
    train("validation share in words", "dataset.val_fraction=x", says=["dataset.val_fraction=x must be a number"]),
    train("not as published", "dataset=market1501", "dataset.root={toy}", "dataset.strict=true",
          says=["market1501 in {toy} is not the published set: train has", "of 751", "dataset.strict=false"]),
    train("strict in words", "dataset.strict=x", says=["dataset.strict=x must be true or false"]),
    train("identity limit", "dataset.limit_identities=x", says=["dataset.limit_identities=x must be a whole number"]),
    train("seed", "seed=-1", says=["seed=-1 must be at least 0"]),
    train("augmentation", "augment.flip=x", says=["augment.flip=x must be a number"]),
    train("augmentation above one", "augment.flip=3", says=["augment.flip=3 is a probability", "0 to 1"]),
    train("zoom that shrinks", "augment=zoom", "augment.zoom=0.5", says=["augment.zoom=0.5 above 1"]),
    train("erasing with something", "augment.erase_with=noise", says=["augment.erase_with=noise is unknown", "pixel"]),
    train("scales that are none", "augment.scales=[256,128]", says=["augment.scales=[256, 128] must be a list"]),
    train("scale too small", "backbone=vgg16", "augment.scales=[[64,32],[16,8]]",
          says=["augment.scales=[16,8] does not fit", "[32,32] would", "vgg16"]),
    train("colours by no strength", "augment.jitter=0.5", *[f"augment.{n}=0" for n in JITTER],
          says=["augment.jitter=0.5 needs augment.brightness"]),
    train("mixed identities and triplets", "mix=mixup", says=["objective.terms.triplet", "choose objective=softmax"]),
    train("nothing to mix", "mix=cutmix", "objective=softmax", "mix.alpha=0", says=["mix.alpha=0 must be above 0"]),
    train("gradient clipping", "trainer.gradient_clip_val=-1", says=["trainer.gradient_clip_val=-1 must be above 0"]),
    train("rollback misspelt", "trainer.on_nan=back", says=["trainer.on_nan=back is unknown: choose stop or rollback"]),
    train("rollback that raises the rate", "trainer.nan_factor=2", says=["nan_factor=2 must lie between 0 and 1"]),
    train("no try", "trainer.nan_tries=0", says=["trainer.nan_tries=0 must be at least 1"]),
    train("leap below the usual", "trainer.spike=1", says=["trainer.spike=1 must be above 1"]),
    train("checkpoints backwards", "trainer.checkpoint_every_n_steps=-1", says=["every_n_steps=-1 must be at least 0"]),
    train("term without weight", "~objective.terms.triplet.weight", says=["objective.terms.triplet.weight is missing"]),
    train("pooling", "head.pooling=foo", says=["head.pooling=foo is unknown", "gem"]),
    train("feature", "head.feature=foo", says=["head.feature=foo is unknown", "after_bnneck"]),
    train("margin negative", "objective.terms.triplet.loss.margin=-1", says=["margin=-1 must be at least 0", "null"]),
    train("margin in words", "objective.terms.triplet.loss.margin=x", says=["loss.margin=x must be a number or null"]),
    train("protocol", "eval.protocol=foo", says=["protocol='foo' is unknown", "market1501"]),
    train("distance", "eval.distance=foo", says=["distance='foo' is unknown", "cosine"]),
    train("pooling unknown", "eval.pool=x", says=["eval.pool=x is unknown", "none, track"]),
    train("tracks that are not told", "eval.pool=track", says=["eval.pool=track: not every", "set eval.pool=none"]),
    train("evaluation batch", "eval.batch_size=0", says=["eval.batch_size=0 must be at least 1"]),
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
    # going on with a run
    Case("resume nothing", ("resume={work}/none",), ["resume={work}/none is not a folder", "<date>/<time>_<name>"]),
    Case("resume no run", ("resume={toy}",), ["resume={toy} is not a run folder", "config.yaml"]),
    resume("resume without checkpoint", says=["resume={run} has no checkpoint", LAST],
           prepare=remove("run/checkpoints/last.ckpt")),
    Case("resume truncated checkpoint", ("resume={run}",), [f"resume={LAST} is truncated"],
         cut("run/checkpoints/last.ckpt"), own_process=True),
    resume("resume weights alone", says=[f"resume={LAST} is not a checkpoint of this framework"],
           prepare=save({"a": torch.zeros(1)}, "run/checkpoints/last.ckpt")),
    resume("resume damaged config", says=["{run}/config.yaml is damaged"], prepare=write("run/config.yaml", "a: [b")),
    resume("resume empty config", says=["{run}/config.yaml is not the config of a run"],
           prepare=write("run/config.yaml", "")),
    resume("resume another net", "backbone.name=mobilenet_v3_large", "resume_changes=true",
           says=["resume={run}: its weights do not fit", "leave backbone"]),
    resume("resume another head", "head.pooling=gem", "resume_changes=true",
           says=["resume={run}: its weights do not fit", "leave", "head"]),
    resume("resume fewer identities", "dataset.limit_identities=4", "resume_changes=true",
           says=["resume={run}", "training identities"]),
    resume("resume changed values", "head.pooling=gem", "data.images=3", "trainer.max_epochs=3",
           says=["resume={run}: its config has changed: data.images=3 (was 2), head.pooling=gem (was avg): bring",
                 "resume_changes=true"]),
    train("auto with another objective", "run.folder={run}", "resume=auto", "objective=triplet", "resume_changes=true",
          says=["resume={run}: its optimiser is of other parameters", "leave objective"]),
    resume("resume changes in words", "resume_changes=x", says=["resume_changes=x must be true or false"]),
    train("auto without a folder", "resume=auto", says=["add run.folder=FOLDER, or resume=RUN"]),
    train("fixed folder in use", "run.folder={toy}", says=["run.folder={toy} is not empty", "add resume=auto"]),
    train("fixed folder not writable", "run.folder={work}/file/x", prepare=write("file"),
          says=["run.folder={work}/file/x cannot be written", "choose another"]),
    train("fixed folder and bad input", "run.folder={work}/runs/a", "resume=auto", "data.images=99",
          says=["data.images"]),
    train("auto in a folder of another program", "run.folder={work}", "resume=auto",
          prepare=write("config.yaml", "a: 1"), says=["{work}/config.yaml is not the config of a run"]),
    train("auto among strange results", "run.folder={work}", "resume=auto", prepare=write("metrics.json"),
          says=["run.folder={work} holds metrics.json but no config.yaml"]),
    train("auto with another config", "run.folder={run}", "resume=auto", "seed=1",
          says=["run.folder={run}: its config has changed: ", "seed=1 (was 0)"]),
    train("auto without a sound checkpoint", "run.folder={run}", "resume=auto",
          prepare=cut("run/checkpoints/last.ckpt"),
          says=["run.folder=" + LAST, "damaged", "none before it", "start again in another folder"]),
    resume("resume another option", "backbone=resnet18", says=["backbone=resnet18", "trainer.max_epochs=20"]),
    resume("resume another rate", "optimizer.lr=1", says=["optimizer.lr=1", "with the optimiser of its checkpoint"]),
    resume("resume elsewhere", "run.root={work}/x", says=["run.root={work}/x", "goes on in its folder"]),
    judge("run and checkpoint", "run={run}", f"checkpoint={LAST}", says=["checkpoint=", "give one of the two"]),
    train("run root null", "run.root=null", says=["run.root=None must be text"]),
    train("seed too large", "seed=4294967296", says=["seed=4294967296 must be under 2^32"]),
    train("no way to shift", "augment.zoom=null", says=["needs augment.padding above 0 or augment.zoom"]),
    resume("resume misspelt key", "trainer.max_epoch=3", says=["trainer.max_epoch'", "did you mean"]),
    resume("resume wrong value", "trainer.max_epochs=abc", says=["trainer.max_epochs=abc must be a whole number"]),
    # judging
    judge("no run yet", "run_root={work}/runs", says=["no run with a checkpoint in {work}/runs", "train one"]),
    judge("run missing", "run={work}/none", says=["run={work}/none is not a folder"]),
    judge("run is something else", "run={toy}", says=["run={toy} is not a run folder"]),
    judge("misspelt run", "rnu={run}", says=["unknown config key 'rnu'", "did you mean run", "python eval.py --help"]),
    Case("checkpoint missing", ("checkpoint={work}/none", *ON_TOY), ["checkpoint={work}/none: no such file"],
         script="eval.py", own_process=True),
    judge("checkpoint truncated", f"checkpoint={LAST}", *ON_TOY, says=[f"checkpoint={LAST} is truncated"],
          prepare=cut("run/checkpoints/last.ckpt")),
    judge("checkpoint damaged", "run={run}", says=["run=" + LAST + " is damaged", "checksums"],
          prepare=flip("run/checkpoints/last.ckpt")),
    judge("checkpoint is text", "checkpoint={work}/file", *ON_TOY, says=["checkpoint={work}/file is not a"],
          prepare=write("file")),
    judge("checkpoint of weights alone", "checkpoint={work}/file", *ON_TOY, prepare=save({"a": torch.zeros(1)}, "file"),
          says=["checkpoint={work}/file is not a checkpoint of this framework", "backbone.weights=FILE"]),
    judge("checkpoint without data set", f"checkpoint={LAST}", says=["add dataset=NAME dataset.root=FOLDER"]),
    judge("root without data set", f"checkpoint={LAST}", "dataset.root={toy}",
          says=["unknown config key 'dataset.root'", "dataset=market1501 dataset.root=FOLDER"]),
    judge("data set is not there", "run={run}", "dataset=market1501", "dataset.root={work}/none",
          says=["dataset.root={work}/none is not a folder"]),
    judge("judged set not as published", "run={run}", "dataset=market1501", "dataset.root={toy}", "dataset.strict=true",
          says=["market1501 in {toy} is not the published set: train has", "dataset.strict=false"]),
    judge("output in no folder", "run={run}", "output={work}/none/x", says=["output={work}/none/x", "exists"]),
    judge("output is a folder", "run={run}", "output={work}", says=["output={work} must be a .json file"]),
    judge("judged feature", "run={run}", "eval.feature=foo", says=["eval.feature=foo is unknown"]),
    judge("judged protocol", "run={run}", "eval.protocol=foo", says=["protocol='foo' is unknown", "no_camera"]),
    judge("judging batch", "run={run}", "eval.batch_size=x", says=["eval.batch_size=x must be a whole"]),
    judge("judging from a cache in words", "run={run}", "image.cache=ram",
          says=["image.cache=ram is unknown", "disk, memory, false"]),
    judge("judging device", "run={run}", "accelerator=tpu", says=["accelerator=tpu is unknown", "cpu or gpu"]),
]  # fmt: skip
NO_GPU = [
    *[train(f"{a}, which is not there", a, says=["accelerator=gpu", "no CUDA device: choose auto or cpu"])
      for a in ("trainer=gpu", "trainer=multi_gpu", "trainer.accelerator=gpu")],
    judge("judging gpu, which is not there", "run={run}", "accelerator=gpu", says=["accelerator=gpu", "no CUDA"]),
]  # fmt: skip
CASES += bad_sets.CASES
if not torch.cuda.is_available():
    CASES += NO_GPU


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
