"""A composed config -> the arguments of a run's functions. The config object goes no further than here."""

import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from reid import processes
from reid.data.records import Split
from reid.door import check, stored
from reid.door.build import build, read_split, sampler_maker, try_out
from reid.door.targets import asked_of_all, listed_targets, own_targets, spell_out
from reid.errors import UserError, unknown
from reid.runs.folder import RunFolder

log = logging.getLogger(__name__)

_OF_ALL = {"freeze": [], "layer_decay": 1.0, "checkpointing": False}  # of every backbone, beside its builder's own
_RUN_DIR = "REID_RUN_DIR"  # tells the processes that Lightning starts for more devices which folder the first one made


def training_arguments(cfg: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The arguments of ``reid.runs.train.train`` for a config, or for the config of the run that it resumes."""
    import pytorch_lightning as pl
    import torch
    from torch import nn

    from reid.data.datamodule import ReIDData
    from reid.data.records import camids
    from reid.data.samplers import ShuffleSampler
    from reid.models.embedder import Embedder, map_size
    from reid.runs.doctor import labels_line
    from reid.runs.judge import Judging
    from reid.training.launch import join, on_launched
    from reid.training.module import check_chunk, check_mix
    from reid.training.settings import TrainerSettings, quiet_lightning

    resumed = None
    if cfg.resume is not None:
        resumed = RunFolder.open(cfg.resume, option="resume")
        checkpoint = resumed.need_checkpoint(option="resume")
        cfg = stored.config_to_resume(resumed, overrides)
    check.keys(cfg)
    check.values(cfg)
    cache = cache_of(cfg)
    spell_out(cfg)
    config = OmegaConf.to_yaml(cfg, resolve=True)
    quiet_lightning()
    seed = int(cfg.seed)
    if seed >= 2**32:
        raise UserError(f"seed={seed} must be under 2^32")
    pl.seed_everything(seed, workers=True, verbose=False)
    settings: TrainerSettings = on_launched(build(cfg.trainer, "trainer"))
    device = settings.device  # a missing GPU is told before anything is read
    join(device)
    split, validation = read_split(cfg.dataset, seed)
    if not split.train:
        raise UserError(f"dataset={split.name} has nothing to train on: judge on it with eval.py dataset=...")
    evaluation = {name: cfg.eval[name] for name in ("protocol", "distance", "flip")}
    evaluation["pool"] = cfg.eval.get("pool") or "none"  # which the configs of older runs do not have
    targets = _targets(cfg, split, evaluation)
    labels = labels_line(split, cfg.eval.protocol, _doctor_command(cfg, None if resumed else overrides))
    objective = build(cfg.objective, "objective")
    optimizer, schedule = build(cfg.optimizer, "optimizer"), build(cfg.schedule, "schedule")
    try_out("optimizer", optimizer, [nn.Parameter()])
    try_out("schedule", schedule, 1.0)
    sampler = sampler_maker(cfg.sampler)
    augment = build(cfg.augment, "augment") if cfg.get("augment") else None
    mix = build(cfg.mix, "mix") if cfg.get("mix") else None
    check_mix(mix, objective)
    logger = build(cfg.logger, "logger") if cfg.get("logger") else None
    size = image_size(cfg.image.size)
    if cfg.backbone.get("cameras") == "auto":
        cfg.backbone.cameras = sorted({r.camid for r in split.train})
    backbone_node: dict[Any, Any] = OmegaConf.to_container(cfg.backbone, resolve=True)  # type: ignore[assignment]
    if resumed:  # the weights come from the checkpoint
        cfg.backbone.update({k: v for k, v in {"pretrained": False, "weights": None}.items() if k in cfg.backbone})
    backbone, layer_decay = backbone_of(cfg.backbone)
    data = ReIDData(
        split,
        validation=validation,
        image_size=size,
        sampler=sampler,
        identities=cfg.data.identities,
        images=cfg.data.images,
        eval_batch=cfg.eval.batch_size,
        workers=cfg.data.workers,
        cache=cache,
        skip_unreadable=cfg.data.skip_unreadable,
        seed=seed,
    )
    if isinstance(data.sampler, ShuffleSampler) and "feature" in objective.input.values():
        log.warning(
            "shuffled batches may hold no two images of an identity, which losses that compare images cannot learn "
            "from: choose objective=softmax, or sampler=identity"
        )
    for target in targets:  # a damaged test image is told before training, not after it
        of = f"{target.split.name} " if len(targets) > 1 else ""
        data.open(target.split.query, f"{of}query")
        data.open(target.split.gallery, f"{of}gallery")
    data.val_dataloader()  # and a damaged validation image
    head: dict[str, Any] = OmegaConf.to_container(cfg.head, resolve=True)  # type: ignore[assignment]
    check.arguments(head, Embedder, "head")
    try:
        embedder = Embedder(backbone, image_size=size, num_classes=data.num_classes, **head)
    except TypeError as error:
        raise UserError(f"head: {error}") from error
    check_chunk(settings.chunk, embedder)
    for scale in getattr(augment, "scales", ()):  # a size that the network cannot take is told before training
        map_size(backbone, scale, option="augment.scales")
    if backbone.cameras:  # an unknown one is told before training, not after it
        _refuse_other_cameras(split, [target.split for target in targets])
        backbone.camera_rows(torch.from_numpy(camids(split.train + split.query + split.gallery)))
    if resumed:
        print(f"resuming {resumed.path} from {checkpoint}: epoch, optimiser, schedule, sampler and random state go on")
    return {
        "run": resumed or _new_run(cfg),
        "resume": resumed is not None,
        "config": config,
        "data": data,
        "labels": labels,
        "targets": targets,
        "embedder": embedder,
        "objective": objective,
        "optimizer": optimizer,
        "layer_decay": layer_decay,
        "schedule": schedule,
        "augment": augment,
        "mix": mix,
        "settings": settings,
        "logger": logger,
        "how": Judging(
            **evaluation,
            batch_size=cfg.eval.batch_size,
            device=device,
            cache=cache,
            skip_unreadable=cfg.data.skip_unreadable,
        ),
        "spec": {
            "backbone": _call({k: v for k, v in backbone_node.items() if k not in _OF_ALL}),
            "head": head,
            "image_size": list(size),
            "num_classes": data.num_classes,
            "evaluation": {**evaluation, "batch_size": cfg.eval.batch_size},
        },
        "seed": seed,
    }


def backbone_of(node: DictConfig) -> tuple[Any, float]:
    """The backbone with what every one takes, and how the learning rate falls from layer to layer."""
    if missing := [str(key) for key in node if OmegaConf.is_missing(node, key)]:
        raise UserError(f"backbone.{missing[0]} is missing: give backbone.{missing[0]}=...")
    given: dict[Any, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    own = OmegaConf.create({k: v for k, v in given.items() if k not in _OF_ALL})
    stages, decay, twice = (given.get(key, value) for key, value in _OF_ALL.items())
    if not isinstance(stages, list) or not all(isinstance(s, str) for s in stages):
        raise UserError(f"backbone.freeze={stages} must be a list of stages, as [conv1,layer1]")
    check.value("backbone.layer_decay", decay, float)
    check.value("backbone.checkpointing", twice, bool)
    if not 0 < decay <= 1:
        raise UserError(f"backbone.layer_decay={decay} must be above 0 and at most 1")
    backbone = build(own, "backbone").freeze(stages)
    return (backbone.save_memory() if twice else backbone), float(decay)


def _doctor_command(cfg: DictConfig, overrides: list[str] | None) -> str:
    """What to type to examine the data of this run; None for the overrides where none name it, as in a resumed run."""
    given = ["dataset=..."] if overrides is None else [o for o in overrides if o.startswith(("dataset=", "dataset."))]
    own = cfg.dataset.get("protocol", "market1501")
    rules = [f"protocol={cfg.eval.protocol}"] if cfg.eval.protocol != own else []
    return shlex.join(["python", "scripts/doctor.py", *given, *rules])


def _targets(cfg: DictConfig, split: Split, evaluation: Mapping[str, Any]) -> list[Any]:
    """Where the trained model is judged; the rules of ``eval`` go over the sets' own where somebody chose them."""
    from reid.evaluation.protocols import named_protocol

    named_protocol(evaluation["protocol"])  # of the validation part too
    how = {"asked": asked_of_all(evaluation, cfg.dataset), "distance": evaluation["distance"]}
    if cfg.eval.get("targets") is not None:
        return listed_targets(cfg.eval.targets, **how, strict=bool(cfg.dataset.get("strict")))
    return own_targets(cfg.dataset, split, **how)


def _refuse_other_cameras(trained_on: Split, judged_on: Sequence[Split]) -> None:
    """UserError for a target of other cameras: its camera 2 is not what the net knows as camera 2."""
    strange = [split.name for split in judged_on if split is not trained_on]
    if strange:
        raise UserError(
            f"backbone.cameras: such a net knows the cameras it is trained on, and those of {strange[0]} are others: "
            "leave it out, or train on one set and judge on that alone (no union, no eval.targets)"
        )


def _new_run(cfg: DictConfig) -> RunFolder:
    known = os.environ.get(_RUN_DIR)
    if known and os.environ.get("LOCAL_RANK", "0") != "0" and processes.count() == 1:  # started by Lightning
        return RunFolder(Path(known))
    return RunFolder(processes.from_first(lambda: _made(cfg).path))


def _made(cfg: DictConfig) -> RunFolder:
    now = datetime.now()
    name = str(cfg.run.name or f"{cfg.dataset.name}_{cfg.backbone.get('name', 'custom')}")
    if "/" in name:
        raise UserError(f"run.name={name} must be a name without /; run.root=FOLDER says where it goes")
    run = RunFolder.create(Path(cfg.run.root).expanduser(), f"{now:%Y-%m-%d}/{now:%H-%M-%S}_{name}")
    os.environ[_RUN_DIR] = str(run.path)
    return run


def image_size(size: Any) -> tuple[int, int]:
    """(height, width); UserError unless these are two whole numbers above 0."""
    if OmegaConf.is_list(size) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size):
        return int(size[0]), int(size[1])
    raise UserError(f"image.size={size} must be [height,width] in pixels, as image.size=[256,128]")


def output_file(given: str | None, kinds: Sequence[str] = (".json",)) -> Path | None:
    """Where ``output=`` wants its file; UserError unless its name ends in one of ``kinds`` and its folder exists."""
    if not given:
        return None
    output = Path(given).expanduser()
    if output.suffix.lower() not in kinds or output.is_dir() or not output.parent.is_dir():
        raise UserError(f"output={output} must be a {' or '.join(kinds)} file in a folder that exists")
    return output


def cache_of(cfg: DictConfig) -> Path | Literal["memory"] | None:
    """Where decoded images are kept, as ``reid.data.store`` takes it; true stood for the disk in older runs."""
    asked = cfg.image.cache
    if asked is True or asked == "disk":
        return Path(cfg.image.cache_dir).expanduser()
    if asked is False or asked == "memory":
        return asked or None
    raise unknown("image.cache", asked, ("disk", "memory", "false"))


def _call(node: Any) -> Mapping[str, Any]:
    """A node as plain values for the checkpoint: the function's name and its arguments."""
    return {"builder": node["_target_"], "arguments": {k: v for k, v in node.items() if not str(k).startswith("_")}}
