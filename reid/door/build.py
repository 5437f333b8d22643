"""A composed config -> the objects it names."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from reid.data.records import Split, first_identities, hold_out
from reid.door import check
from reid.errors import UserError
from reid.runs.folder import RunFolder

_RUN_DIR = "REID_RUN_DIR"  # tells the processes that Lightning starts for more devices which folder the first one made
_TRAIN_KEYS = {
    "dataset", "backbone", "head", "objective", "augment", "optimizer", "schedule", "trainer", "logger",
    "data", "image", "evaluation", "run", "seed", "resume",
}  # fmt: skip
_VALUES: dict[str, tuple[Any, int | None]] = {  # of keys that no function's annotations tell: type, least value
    "seed": (int, 0),
    "data.identities": (int, 1),
    "data.images": (int, 1),
    "data.workers": (int, 0),
    "data.skip_unreadable": (bool, None),
    "dataset.val_fraction": (float | None, 0),
    "dataset.limit_identities": (int | None, 1),
    "evaluation.protocol": (str, None),
    "evaluation.distance": (str, None),
    "evaluation.batch_size": (int, 1),
    "image.cache": (bool, None),
    "image.cache_dir": (str, None),
    "run.root": (str, None),
    "run.name": (str | None, None),
}


def training_arguments(cfg: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The arguments of ``reid.runs.train.train`` for a config, or for the config of the run that it resumes."""
    import pytorch_lightning as pl
    from torch import nn

    from reid.data.datamodule import ReIDData
    from reid.models.embedder import Embedder
    from reid.runs.judge import Judging, refuse_hopeless
    from reid.training.settings import TrainerSettings, quiet_lightning

    resumed = None
    if cfg.resume is not None:
        resumed = RunFolder.open(cfg.resume, option="resume")
        checkpoint = resumed.need_checkpoint(option="resume")
        cfg = _stored(resumed, overrides)
    _refuse_unknown(cfg)
    _check_values(cfg)
    config = OmegaConf.to_yaml(cfg, resolve=True)
    quiet_lightning()
    seed = int(cfg.seed)
    if seed >= 2**32:
        raise UserError(f"seed={seed} must be under 2^32")
    pl.seed_everything(seed, workers=True, verbose=False)
    settings: TrainerSettings = build(cfg.trainer, "trainer")
    device = settings.device  # a missing GPU is told before anything is read
    split, validation = read_split(cfg.dataset, seed)
    evaluation = {"protocol": cfg.evaluation.protocol, "distance": cfg.evaluation.distance}
    refuse_hopeless(split, **evaluation)
    objective = build(cfg.objective, "objective")
    optimizer, schedule = build(cfg.optimizer, "optimizer"), build(cfg.schedule, "schedule")
    _try("optimizer", optimizer, [nn.Parameter()])
    _try("schedule", schedule, 1.0)
    augment = build(cfg.augment, "augment") if cfg.get("augment") else None
    logger = build(cfg.logger, "logger") if cfg.get("logger") else None
    size = _size(cfg.image.size)
    backbone_node = OmegaConf.to_container(cfg.backbone, resolve=True)
    if resumed:  # the weights come from the checkpoint
        cfg.backbone.update({k: v for k, v in {"pretrained": False, "weights": None}.items() if k in cfg.backbone})
    backbone = build(cfg.backbone, "backbone")
    cache_dir = _cache_dir(cfg)
    data = ReIDData(
        split,
        validation=validation,
        image_size=size,
        identities=cfg.data.identities,
        images=cfg.data.images,
        eval_batch=cfg.evaluation.batch_size,
        workers=cfg.data.workers,
        cache_dir=cache_dir,
        skip_unreadable=cfg.data.skip_unreadable,
        seed=seed,
    )
    for records, part in ((split.query, "query"), (split.gallery, "gallery")):
        data.open(records, part)  # a damaged test image is told before training, not after it
    data.val_dataloader()  # and a damaged validation image
    head: dict[str, Any] = OmegaConf.to_container(cfg.head, resolve=True)  # type: ignore[assignment]
    check.arguments(head, Embedder, "head")
    try:
        embedder = Embedder(backbone, image_size=size, num_classes=data.num_classes, **head)
    except TypeError as error:
        raise UserError(f"head: {error}") from error
    if resumed:
        print(f"resuming {resumed.path} from {checkpoint}: epoch, optimiser, schedule, sampler and random state go on")
    return {
        "run": resumed or _new_run(cfg),
        "resume": resumed is not None,
        "config": config,
        "data": data,
        "embedder": embedder,
        "objective": objective,
        "optimizer": optimizer,
        "schedule": schedule,
        "augment": augment,
        "settings": settings,
        "logger": logger,
        "how": Judging(
            **evaluation,
            batch_size=cfg.evaluation.batch_size,
            device=device,
            cache_dir=cache_dir,
            skip_unreadable=cfg.data.skip_unreadable,
        ),
        "spec": {
            "backbone": _call(backbone_node),
            "head": head,
            "image_size": list(size),
            "num_classes": data.num_classes,
            "evaluation": {**evaluation, "batch_size": cfg.evaluation.batch_size},
        },
        "seed": seed,
    }


def judging_arguments(cfg: DictConfig) -> dict[str, Any]:
    """The arguments of ``reid.runs.evaluate.evaluate_again`` for an eval config."""
    from reid.models.checkpoint import load_trained
    from reid.models.embedder import FEATURES
    from reid.runs.judge import Judging, refuse_hopeless
    from reid.training.settings import device_for

    _check_values(cfg, null_is_fine=True)
    run, stored = None, OmegaConf.create()
    if cfg.checkpoint is not None and cfg.run is not None:
        raise UserError(f"run={cfg.run} and checkpoint={cfg.checkpoint}: give one of the two")
    if cfg.checkpoint is not None:
        if cfg.get("dataset") is None:
            raise UserError("checkpoint= needs the data to judge on: add dataset=NAME dataset.root=FOLDER")
        checkpoint, model, option = Path(cfg.checkpoint).expanduser(), Path(cfg.checkpoint).name, "checkpoint"
    else:
        run = RunFolder.open(cfg.run, option="run") if cfg.run else RunFolder.newest(Path(cfg.run_root))
        run.need_checkpoint(option="run")
        checkpoint, model = run.reported()
        option, stored = "run", _config_of(run)
    accelerator = cfg.accelerator or OmegaConf.select(stored, "trainer.accelerator") or "auto"
    device = device_for(accelerator, option="accelerator")
    asked = OmegaConf.create({"image": cfg.image, "data": cfg.data})
    for key, otherwise in {
        "image.cache": True,
        "image.cache_dir": ".cache/images",
        "data.skip_unreadable": False,
    }.items():
        if OmegaConf.select(asked, key) is None:
            OmegaConf.update(asked, key, OmegaConf.select(stored, key, default=otherwise))
    dataset, again = cfg.get("dataset"), False
    if dataset is None and run is not None:
        dataset, again = stored.dataset, True
    split = read_split(dataset, seed=0, whole=True)[0]
    trained = load_trained(checkpoint, option=option, trust=run is not None)
    evaluation = {**trained.spec["evaluation"], **{k: v for k, v in cfg.evaluation.items() if v is not None}}
    feature = evaluation.pop("feature", None)
    if feature is not None:
        if feature not in FEATURES:
            raise UserError(f"evaluation.feature={feature} is unknown: choose one of {', '.join(FEATURES)}")
        trained.embedder.feature = feature
    refuse_hopeless(split, evaluation["protocol"], evaluation["distance"])
    return {
        "trained": trained,
        "checkpoint": checkpoint,
        "split": split,
        "how": Judging(
            **evaluation,
            device=device,
            cache_dir=_cache_dir(asked),
            skip_unreadable=asked.data.skip_unreadable,
            bf16=trained.spec["bf16"],
        ),
        "model": model,
        "output": Path(cfg.output).expanduser() if cfg.output else None,
        "recorded": run.metrics if run is not None and again else None,
    }


def read_split(node: DictConfig, seed: int, whole: bool = False) -> tuple[Split, Split | None]:
    """The data set that a ``dataset`` node names, and its held-out identities where it asks for them.

    ``whole`` leaves the training part as it is read, for judging.
    """
    given: dict[Any, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    reader = {k: v for k, v in given.items() if k not in ("name", "val_fraction", "limit_identities", "image_size")}
    split = replace(build(OmegaConf.create(reader), "dataset"), name=str(node.name))
    if whole:
        return split, None
    if node.get("limit_identities"):
        split = first_identities(split, node.limit_identities)
    if node.get("val_fraction"):
        return hold_out(split, node.val_fraction, seed)
    return split, None


def build(node: DictConfig, name: str) -> Any:
    """Call what ``node._target_`` names; UserError for an argument it does not take or a name that is not there."""
    if not OmegaConf.is_config(node) or node.get("_target_") is None:
        raise UserError(f"{name}._target_ is missing: it names the function that builds it")
    _check_node(OmegaConf.to_container(node, resolve=True), name)
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError):
            raise UserError(f"{name}: {cause}") from error
        raise cause or error from error


def _check_node(node: Any, name: str) -> None:
    """Check what a node and those inside it give to the functions that they name."""
    if not isinstance(node, Mapping):
        return
    if "_target_" in node:
        try:
            target = get_object(node["_target_"])
        except Exception as error:  # whatever the user's own module raises while it is imported
            raise UserError(f"{name}._target_={node['_target_']} cannot be imported: {error}") from error
        check.arguments(node, target, name)
    for key, inner in node.items():
        _check_node(inner, f"{name}.{key}")


def _try(name: str, function: Callable[..., Any], argument: Any) -> None:
    """Call what training would call much later."""
    try:
        function(argument)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: {error}") from error


def _stored(run: RunFolder, overrides: list[str]) -> DictConfig:
    """The config of a run with the command line's single values on top."""
    cfg = _config_of(run)
    OmegaConf.set_struct(cfg, True)
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "resume":
            continue
        if not re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", key):
            raise UserError(
                f"{override}: a resumed run keeps its config, single values such as trainer.max_epochs=20 aside"
            )
        if key.startswith(("optimizer.", "backbone.weights", "backbone.pretrained", "run.")):
            raise UserError(f"{override}: a resumed run goes on in its folder, with the optimiser of its checkpoint")
        try:
            OmegaConf.update(cfg, key, OmegaConf.create(f"v: {value}").v)
        except OmegaConfBaseException as error:
            raise UserError(f"unknown config key '{key}': {run.config} does not have it") from error
    return cfg


def _config_of(run: RunFolder) -> DictConfig:
    try:
        cfg = OmegaConf.load(run.config)
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{run.config} is damaged: {error}") from error
    if not isinstance(cfg, DictConfig) or "dataset" not in cfg:
        raise UserError(f"{run.config} is not the config of a run")
    return cfg


def _new_run(cfg: DictConfig) -> RunFolder:
    known = os.environ.get(_RUN_DIR)
    if known and os.environ.get("LOCAL_RANK", "0") != "0":
        return RunFolder(Path(known))
    now = datetime.now()
    name = str(cfg.run.name or f"{cfg.dataset.name}_{cfg.backbone.get('name', 'custom')}")
    if "/" in name:
        raise UserError(f"run.name={name} must be a name without /; run.root=FOLDER says where it goes")
    run = RunFolder.create(Path(cfg.run.root).expanduser(), f"{now:%Y-%m-%d}/{now:%H-%M-%S}_{name}")
    os.environ[_RUN_DIR] = str(run.path)
    return run


def _refuse_unknown(cfg: DictConfig) -> None:
    for key in map(str, cfg):
        if key not in _TRAIN_KEYS:
            raise UserError(f"unknown config key '{key}': known are {', '.join(sorted(_TRAIN_KEYS))}")


def _check_values(cfg: DictConfig, null_is_fine: bool = False) -> None:
    for key, (kind, least) in _VALUES.items():
        given = OmegaConf.select(cfg, key)
        if not (given is None and null_is_fine):
            check.value(key, given, kind, least)


def _size(size: Any) -> tuple[int, int]:
    if OmegaConf.is_list(size) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size):
        return int(size[0]), int(size[1])
    raise UserError(f"image.size={size} must be [height,width] in pixels, as image.size=[256,128]")


def _cache_dir(cfg: DictConfig) -> Path | None:
    return Path(cfg.image.cache_dir).expanduser() if cfg.image.cache else None


def _call(node: Any) -> Mapping[str, Any]:
    """A node as plain values for the checkpoint: the function's name and its arguments."""
    return {"builder": node["_target_"], "arguments": {k: v for k, v in node.items() if not str(k).startswith("_")}}
