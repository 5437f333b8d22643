"""What Hydra finds by itself: it takes sweepers and launchers from modules of ``hydra_plugins`` and no others."""

from reid.door.sweeps import local, slurm, study, sweep


class Grid(sweep.Sweep):
    """``hydra/sweeper=grid``: every combination of the values on the command line."""


class Optuna(study.StudySweep):
    """``hydra/sweeper=optuna``: trials whose values Optuna draws from a space."""


class Joblib(local.JoblibLauncher):
    """``hydra/launcher=joblib``: several jobs at once on this machine."""


class Ray(local.RayLauncher):
    """``hydra/launcher=ray``: jobs as tasks of Ray."""


class Slurm(slurm.SlurmLauncher):
    """``hydra/launcher=slurm``: the jobs as an array job of Slurm."""
