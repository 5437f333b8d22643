"""What Hydra finds by itself: it takes sweepers and launchers from modules of ``hydra_plugins`` and no others."""

from reid.door import sweep, sweep_local, sweep_slurm, sweep_study


class Grid(sweep.Sweep):
    """``hydra/sweeper=grid``: every combination of the values on the command line."""


class Optuna(sweep_study.StudySweep):
    """``hydra/sweeper=optuna``: trials whose values Optuna draws from a space."""


class Joblib(sweep_local.JoblibLauncher):
    """``hydra/launcher=joblib``: several jobs at once on this machine."""


class Ray(sweep_local.RayLauncher):
    """``hydra/launcher=ray``: jobs as tasks of Ray."""


class Slurm(sweep_slurm.SlurmLauncher):
    """``hydra/launcher=slurm``: the jobs as an array job of Slurm."""
