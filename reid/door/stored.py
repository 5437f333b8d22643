"""The config that a run was started with."""

import re

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from reid.errors import UserError
from reid.runs.folder import RunFolder


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
        cfg.sampler = {"_target_": "reid.data.samplers.IdentitySampler", "_partial_": True}
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
