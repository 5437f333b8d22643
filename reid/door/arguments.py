"""A composed config -> the arguments of a run's functions. The config object goes no further than here."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig, OmegaConf

from reid.data.records import Split
from reid.door import check, stored
from reid.door.build import build, read_split, sampler_maker, try_out
from reid.door.start import AUTO, is_first, known_folder, new_folder
from reid.door.targets import asked_of_all, listed_targets, own_targets, spell_out
from reid.errors import UserError, unknown
from reid.runs.folder import RunFolder

if TYPE_CHECKING:
    from reid.data.datamodule import ReIDData
    from reid.models.embedder import Embedder

log = logging.getLogger(__name__)

_OF_ALL = {"freeze": [], "layer_decay": 1.0, "checkpointing": False}  # of every backbone, beside its builder's own


def training_arguments(cfg: DictConfig, overrides: list[str]) -> dict[str, Any]:
    """The arguments of ``reid.runs.train.train`` for a config, or for the config of the run that it resumes."""
    run, checkpoint = known_folder(cfg, overrides)
    try:
        return _arguments(cfg, overrides, run, checkpoint)
    except BaseException:
        if run:
            run.let_go()
        raise


def _arguments(cfg: DictConfig, overrides: list[str], run: RunFolder | None, resume: Path | None) -> dict[str, Any]:
    import pytorch_lightning as pl

    from reid.runs.doctor import labels_line
    from reid.runs.judge import Judging
    from reid.training.launch import join, on_launched
    from reid.training.module import check_chunk, check_mix
    from reid.training.settings import TrainerSettings, quiet_lightning

    allowed, option = bool(cfg.resume_changes), "run.folder" if cfg.resume == AUTO else "resume"
    check.value("resume_changes", cfg.resume_changes, bool)
    if resume and cfg.resume != AUTO:
        assert run is not None
        cfg = stored.config_to_resume(run, overrides)
    check.keys(cfg)
    check.values(cfg)
    cache = cache_of(cfg)
    spell_out(cfg)
    config = OmegaConf.to_yaml(cfg, resolve=True)
    if run and resume:
        stored.refuse_changes(run, config, option=option, allowed=allowed)
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
    targets = _targets(cfg, split, validation, evaluation)
    named = None if resume and option == "resume" else overrides  # which name the data set
    labels = labels_line(split, cfg.eval.protocol, _doctor_command(cfg, named))
    learning = _learning(cfg)
    check_mix(learning["mix"], learning["objective"])
    logger = build(cfg.logger, "logger") if cfg.get("logger") else None
    if cfg.backbone.get("cameras") == "auto":
        cfg.backbone.cameras = sorted({r.camid for r in split.train})
    backbone_node: dict[Any, Any] = OmegaConf.to_container(cfg.backbone, resolve=True)  # type: ignore[assignment]
    if resume:  # the weights come from the checkpoint
        cfg.backbone.update({k: v for k, v in {"pretrained": False, "weights": None}.items() if k in cfg.backbone})
    size = image_size(cfg.image.size)
    backbone, layer_decay = backbone_of(cfg.backbone)
    data = _data(cfg, split, validation, size, cache, seed)
    _warn_of_shuffling(data, learning["objective"])
    _try_to_read(data, targets)
    head: dict[str, Any] = OmegaConf.to_container(cfg.head, resolve=True)  # type: ignore[assignment]
    embedder = _embedder(backbone, head, size, data.num_classes)
    check_chunk(settings.chunk, embedder)
    elsewhere = [target for target in targets if target.split is not validation]
    _check_sizes_and_cameras(backbone, learning["augment"], split, elsewhere)
    if run and resume and is_first():
        print(f"resuming {run.path} from {resume}: epoch, optimiser, schedule, sampler and random state go on")
    return {
        "run": run or new_folder(cfg),
        "resume": resume,
        "config": config,
        "data": data,
        "labels": labels,
        "targets": targets,
        "embedder": embedder,
        **learning,
        "layer_decay": layer_decay,
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


def _learning(cfg: DictConfig) -> dict[str, Any]:
    """What a batch goes through and what is learnt from it."""
    from torch import nn

    objective = build(cfg.objective, "objective")
    optimizer, schedule = build(cfg.optimizer, "optimizer"), build(cfg.schedule, "schedule")
    try_out("optimizer", optimizer, [nn.Parameter()])
    try_out("schedule", schedule, 1.0)
    return {
        "objective": objective,
        "optimizer": optimizer,
        "schedule": schedule,
        "augment": build(cfg.augment, "augment") if cfg.get("augment") else None,
        "mix": build(cfg.mix, "mix") if cfg.get("mix") else None,
    }


def _data(
    cfg: DictConfig, split: Split, validation: Split | None, size: tuple[int, int], cache: Any, seed: int
) -> "ReIDData":
    from reid.data.datamodule import ReIDData

    return ReIDData(
        split,
        validation=validation,
        image_size=size,
        sampler=sampler_maker(cfg.sampler),
        identities=cfg.data.identities,
        images=cfg.data.images,
        eval_batch=cfg.eval.batch_size,
        workers=cfg.data.workers,
        cache=cache,
        skip_unreadable=cfg.data.skip_unreadable,
        seed=seed,
    )


def _warn_of_shuffling(data: "ReIDData", objective: Any) -> None:
    from reid.data.samplers import ShuffleSampler

    if isinstance(data.sampler, ShuffleSampler) and "feature" in objective.input.values():
        log.warning(
            "shuffled batches may hold no two images of an identity, which losses that compare images cannot learn "
            "from: choose objective=softmax, or sampler=identity"
        )


def _try_to_read(data: "ReIDData", targets: Sequence[Any]) -> None:
    """A damaged image to judge on is told before training, not after it."""
    for target in targets:
        of = f"{target.split.name} " if len(targets) > 1 else ""
        data.open(target.split.query, f"{of}query")
        data.open(target.split.gallery, f"{of}gallery")
    data.val_dataloader()


def _embedder(backbone: Any, head: dict[str, Any], size: tuple[int, int], num_classes: int) -> "Embedder":
    from reid.models.embedder import Embedder

    check.arguments(head, Embedder, "head")
    try:
        return Embedder(backbone, image_size=size, num_classes=num_classes, **head)
    except TypeError as error:
        raise UserError(f"head: {error}") from error


def _check_sizes_and_cameras(backbone: Any, augment: Any, split: Split, targets: Sequence[Any]) -> None:
    """UserError, before training, for a size that the network cannot take or a camera that it will not know."""
    import torch

    from reid.data.records import camids
    from reid.models.embedder import map_size

    for scale in getattr(augment, "scales", ()):
        map_size(backbone, scale, option="augment.scales")
    if backbone.cameras:
        _refuse_other_cameras(split, [target.split for target in targets])
        backbone.camera_rows(torch.from_numpy(camids(split.train + split.query + split.gallery)))


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


def _targets(cfg: DictConfig, split: Split, validation: Split | None, evaluation: Mapping[str, Any]) -> list[Any]:
    """Where the trained model is judged; the rules of ``eval`` go over the sets' own where somebody chose them."""
    from reid.evaluation.protocols import named_protocol
    from reid.runs.targets import Target

    named_protocol(evaluation["protocol"])  # of the validation part too
    how = {"asked": asked_of_all(evaluation, cfg.dataset), "distance": evaluation["distance"]}
    judged = cfg.eval.get("split") or "test"  # which the configs of older runs do not have
    if judged not in ("test", "validation"):
        raise unknown("eval.split", judged, ("test", "validation"))
    if judged == "validation":
        if validation is None or cfg.eval.get("targets") is not None:
            raise UserError("eval.split=validation needs dataset.val_fraction above 0, and no eval.targets")
        return [Target(validation, evaluation["protocol"], evaluation["pool"])]
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
