"""The command line: Hydra's composition, and errors that a user can act on."""

import difflib
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from reid import streams
from reid.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


@streams.lasting()
def run(task: Callable[[DictConfig], object], *, config_name: str) -> None:
    """Compose ``configs/<config_name>.yaml`` with the command line and give it to ``task``.

    A UserError, or an option that Hydra refuses, becomes one line on stderr and exit code 2. Anything else is a
    mistake of ours and keeps its traceback.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on instead of printing them
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it logs what it raises
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/joblib' is validated")  # by hydra-joblib-launcher, if there

    def contained(cfg: DictConfig) -> object:
        try:
            return _job() if _in_own_sweep() else task(cfg)
        except (UserError, OmegaConfBaseException, HydraException) as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the launcher decides what one failed job means for the others
            _leave(error if isinstance(error, UserError) else explain(error, config_name))

    try:
        hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=config_name)(contained)()
    except UserError as error:
        _leave(error)
    except (HydraException, OmegaConfBaseException) as error:
        _leave(explain(error, config_name))
    except ValueError as error:
        if not str(error).startswith("Config group override"):  # what Hydra says of GROUP=null and GROUP=3
            raise
        groups = [a for a in sys.argv[1:] if re.match(r"\w+=", a) and (CONFIGS / a.partition("=")[0]).is_dir()]
        _leave(f"{error} ({' '.join(groups)}): write GROUP=OPTION, or ~GROUP to go without one")
    except KeyboardInterrupt:
        way_on = "; a run with a checkpoint goes on with: python train.py resume=RUN" if config_name == "train" else ""
        print(f"\ninterrupted{way_on}", file=sys.stderr)
        raise SystemExit(130) from None


def _in_own_sweep() -> bool:
    """Whether this is a job of a sweep that gives each job a process and a folder of its own."""
    hydra = HydraConfig.get()
    return bool(hydra.mode == RunMode.MULTIRUN and hydra.sweeper.get("_target_", "").startswith("hydra_plugins.reid_"))


def _job() -> float | None:
    from reid.door.sweeps import job

    hydra: Any = HydraConfig.get()
    return job.run(job.job_of(hydra, list(hydra.overrides.task)))


def _leave(error: Exception | str) -> NoReturn:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(2)


def explain(error: Exception, config_name: str) -> str:
    """Hydra's error in one line, with the nearest right spelling."""
    text = str(error)
    if isinstance(error.__cause__, UserError):  # of what Hydra itself builds: launchers and sweepers
        return str(error.__cause__)
    if isinstance(error, MissingConfigException) and (m := re.search(r"Could not find '([^']+)/([^'/]*)'", text)):
        group, option = m.groups()
        if not option:
            return f"{group}= names nothing: write {group}=OPTION, in a sweep {group}=OPTION,OPTION, or leave it out"
        known = sorted(f.stem for f in (CONFIGS / group).glob("*.yaml"))
        return f"{group}={option} is unknown: {_nearest(option, known)}known are {', '.join(known)}"
    if isinstance(error, ConfigCompositionException):
        if m := re.search(r"Could not override '([^']+)'", text) or re.search(r"Key '([^']+)' is not in struct", text):
            return _unknown_key(m[1].split("@")[0], config_name)
        if m := re.search(r"Could not override '?([\w./@]+)'?\. No match in the defaults list", text):
            return _unknown_key(m[1], config_name)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read '{error.override}': write key=value, lists without blanks, as image.size=[256,128], and text "
            "with blanks, brackets or letters beyond ASCII in two pairs of quotes, as 'dataset.root=\"/my data\"'"
        )
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"{first.strip()} (python {_script(config_name)} --help lists the options)"


def _unknown_key(key: str, config_name: str) -> str:
    known, group, ask = _known_keys(config_name), key.partition(".")[0], f"python {_script(config_name)} --help"
    if config_name == "eval" and group == "dataset":
        return f"unknown config key '{key}': name the data set too, as dataset=market1501 dataset.root=FOLDER"
    if key in known and (CONFIGS / group).is_dir():
        return f"the chosen {group} has no '{key}', which others have; {ask} lists the keys"
    return f"unknown config key '{key}': {_nearest(key, known)}{ask} lists the keys"


def _script(config_name: str) -> str:
    file = f"{config_name}.py"
    return f"scripts/{file}" if (CONFIGS.parent / "scripts" / file).is_file() else file


def _known_keys(config_name: str) -> list[str]:
    """Every key of every option, and the groups themselves."""
    keys = {f.parent.name for f in CONFIGS.glob("*/*.yaml")}

    def walk(node: object, prefix: str) -> None:
        if isinstance(node, dict):
            for k, v in node.items():
                keys.add(f"{prefix}{k}")
                walk(v, f"{prefix}{k}.")

    for file in [CONFIGS / f"{config_name}.yaml", *CONFIGS.glob("*/*.yaml")]:
        prefix = "" if file.parent == CONFIGS or file.parent.name in ("recipe", "debug") else f"{file.parent.name}."
        node = OmegaConf.to_container(OmegaConf.load(file))
        walk({k: v for k, v in node.items() if k != "defaults"} if isinstance(node, dict) else {}, prefix)
    return sorted(k for k in keys if "_target_" not in k and not k.startswith("hydra"))


def _nearest(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, n=3)
    near += [k for k in known if k.rpartition(".")[2] == given.rpartition(".")[2] and k not in near][: 3 - len(near)]
    return f"did you mean {' or '.join(near)}? " if near else ""
