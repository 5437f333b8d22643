"""The config that a run was started with."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from reid.errors import UserError
from reid.runs.folder import RunFolder

_FOLLOWS = "a resumed run goes on in its folder, with the optimiser of its checkpoint"
_MOST = 6  # keys listed in a message
_HELD = ("optimizer.", "backbone.freeze", "backbone.layer_decay")  # by the optimiser of the checkpoint
_SAMPLER = {"_target_": "reid.data.samplers.IdentitySampler", "_partial_": True}
_ONCE = {  # what runs did before their configs said it
    "data.skip_unreadable": False, "backbone.freeze": [], "backbone.layer_decay": 1.0,
    **{f"sampler.{key}": value for key, value in _SAMPLER.items()},
}  # fmt: skip
_MAY_CHANGE = (  # the beginnings of keys that do not touch what is learnt from which batches
    "resume", "run.", "logger", "eval.", "image.cache", "data.workers", "dataset.root", "dataset.strict",
    "backbone.pretrained", "backbone.weights", "backbone.checkpointing", "trainer.max_epochs", "trainer.accelerator",
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.checkpoint_", "trainer.val_every",
    "trainer.log_every", "trainer.profiler", "trainer.on_nan", "trainer.nan_", "trainer.spike",
)  # fmt: skip


def config_of(run: RunFolder) -> DictConfig:
    """What ``config.yaml`` of a run holds; UserError if it is damaged."""
    try:
        cfg = OmegaConf.load(run.config)
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{run.config} is damaged: {error}") from error
    if not isinstance(cfg, DictConfig) or "dataset" not in cfg:
        raise UserError(f"{run.config} is not the config of a run")
    return cfg


def config_to_resume(run: RunFolder, overrides: list[str]) -> DictConfig:
    """The config of a run with the command line's single values on top."""
    cfg = config_of(run)
    if "sampler" not in cfg:  # recorded before there was a choice
        cfg.sampler = _SAMPLER
    OmegaConf.set_struct(cfg, True)
    for override in overrides:
        key, _, value = override.partition("=")
        if key in ("resume", "resume_changes"):
            continue
        if not re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", key):
            raise UserError(
                f"{override}: a resumed run keeps its config, single values such as trainer.max_epochs=20 aside"
            )
        if key.startswith(("optimizer.", "backbone.weights", "backbone.pretrained", "run.")):
            raise UserError(f"{override}: {_FOLLOWS}")
        try:
            OmegaConf.update(cfg, key, OmegaConf.create(f"v: {value}").v)
        except OmegaConfBaseException as error:
            raise UserError(f"unknown config key '{key}': {run.config} does not have it") from error
    return cfg


def refuse_changes(run: RunFolder, now: str, *, option: str, allowed: bool) -> None:
    """UserError where the config ``now``, as YAML, would train otherwise than the one the run was begun with.

    Values that do not touch the training (``_MAY_CHANGE``) are free. Those of the optimiser and of what it trains
    cannot change: its state, rate and all, is that of the checkpoint. FSDP cannot read the state that another strategy
    wrote; the others read FSDP's.
    """
    once = _once()
    before, after = {**once, **_flat(config_of(run))}, {**once, **_flat(OmegaConf.create(now))}
    changed = {k: (before.get(k), after.get(k)) for k in sorted({*before, *after}) if before.get(k) != after.get(k)}
    if changed.get("trainer.strategy", ("",))[-1] == "fsdp":
        raise UserError(
            f"{option}={run.path}: a run begun with trainer.strategy={before['trainer.strategy']} cannot go on with "
            "fsdp, which cannot read its optimiser: leave the strategy as it was, or start a new run"
        )
    changed = {k: v for k, v in changed.items() if not k.startswith(_MAY_CHANGE)}
    told = ", ".join(f"{k}={new} (was {old})" for k, (old, new) in list(changed.items())[:_MOST])
    if len(changed) > _MOST:
        told += f" and {len(changed) - _MOST} more"
    if any(k.startswith(_HELD) for k in changed):
        raise UserError(f"{option}={run.path}: its config has changed: {told}: {_FOLLOWS}")
    if changed and not allowed:
        raise UserError(
            f"{option}={run.path}: its config has changed: {told}: bring it back, start a new run, or add "
            "resume_changes=true to go on with the changed one"
        )


def _once() -> dict[str, Any]:
    """``_ONCE`` and the defaults of all settings of the trainer, by dotted key."""
    from reid.training.settings import TrainerSettings  # loads torch

    settings = {f"trainer.{f.name}": f.default for f in fields(TrainerSettings) if f.default is not MISSING}
    return {**settings, **_ONCE}


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Plain values and lists by dotted key."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if not isinstance(node, Mapping):
        return {prefix.removesuffix("."): node}
    return {key: value for name, inner in node.items() for key, value in _flat(inner, f"{prefix}{name}.").items()}
