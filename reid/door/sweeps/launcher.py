"""What the launchers of sweeps have in common."""

from importlib import import_module
from typing import ClassVar

from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from reid.errors import UserError


class LaunchError(UserError):
    """A launcher takes no jobs, and has launched none."""


class PackageLauncher(Launcher):
    """Launches by a package that nothing else needs; ``option`` of ``hydra/launcher`` is also the extra that has it."""

    option: ClassVar[str]
    package: ClassVar[str]
    config: DictConfig

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        need(self.package, f"hydra/launcher={self.option}", self.option)
        self.config = config


def need(package: str, option: str, extra: str) -> None:
    """UserError for an ``option`` whose package, of an ``extra`` of pyproject.toml, is not installed."""
    try:
        import_module(package)
    except ImportError as error:
        raise UserError(
            f"{option} needs a package that is not installed: pip install -e '.[{extra}]' -c constraints.txt"
        ) from error
