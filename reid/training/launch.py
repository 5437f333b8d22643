"""Processes that torchrun or Slurm's srun has started, and Lightning's way to know of them."""

import atexit
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from torch.distributed.rendezvous import rendezvous

from reid.errors import UserError

if TYPE_CHECKING:
    from reid.training.settings import TrainerSettings


_PATIENCE = timedelta(hours=3)  # that the others have while the first judges, which may rank again a large gallery


@dataclass(frozen=True)
class Launch:
    """What started the processes, how many on each of how many nodes."""

    by: str
    devices: int
    nodes: int


def launched() -> Launch | None:
    """Who started this process with others; None where it is alone or Lightning starts the others."""
    if TorchElasticEnvironment.detect():
        world_size, devices = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        return Launch("torchrun", devices, world_size // devices)
    tasks, nodes = (int(os.environ.get(f"SLURM_STEP_NUM_{what}", 1)) for what in ("TASKS", "NODES"))
    return Launch("srun", tasks // nodes, nodes) if tasks > 1 else None


def join(device: torch.device) -> None:
    """Let the processes that torchrun or srun has started know one another, if any, before Lightning would.

    Raises:
        UserError: there are more of them on this machine than GPUs that each sees.
    """
    found = launched()
    if found is None or dist.is_initialized():
        return
    (environment,) = cluster() or [TorchElasticEnvironment()]
    if device.type == "cuda":
        if found.devices > (seen := torch.cuda.device_count()):
            raise UserError(
                f"{found.by} started {found.devices} processes on this machine, but each sees {seen} GPUs: start at "
                f"most {seen}, or let each process see the GPUs of all"
            )
        torch.cuda.set_device(environment.local_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
    rank, world_size = environment.global_rank(), environment.world_size()
    store, *_ = next(rendezvous("env://", rank, world_size))  # whose patience is for processes that never come
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=store,
        rank=rank,
        world_size=world_size,
        timeout=_PATIENCE,
    )
    atexit.register(_leave)


@contextlib.contextmanager
def ending_together(trainer: pl.Trainer) -> Iterator[None]:
    """Where the block fails, the processes that Lightning has started from this one end with it.

    They would wait for it, and Lightning ends them after Ctrl-C alone. Its watch over them, which kills this process
    when one of them has ended, before this one has told why and tidied up, is over as well.
    """
    try:
        yield
    except BaseException:
        started: list[Any] = getattr(trainer.strategy.launcher, "procs", [])
        children = started[:]
        started.clear()  # the list that the watch looks at
        for child in children:
            child.kill()
        raise


def on_launched(settings: "TrainerSettings") -> "TrainerSettings":
    """The settings with the devices and nodes that torchrun or srun has started processes for.

    Raises:
        UserError: the settings ask for other numbers, or for several nodes that nobody has started processes on.
    """
    found = launched()
    if found is None:
        if settings.num_nodes > 1:
            raise UserError(
                f"trainer.num_nodes={settings.num_nodes} needs a process for each device on every node: start train.py "
                "with torchrun --nnodes=... --nproc_per_node=..., or with srun, which then say how many"
            )
        return settings
    if str(settings.devices) not in ("1", "-1", "auto", str(found.devices)) or settings.num_nodes not in (
        1,
        found.nodes,
    ):
        raise UserError(
            f"trainer.devices={settings.devices} and trainer.num_nodes={settings.num_nodes}, but {found.by} started "
            f"{found.devices} processes on each of {found.nodes} nodes: leave both out, it says how many"
        )
    strategy = "ddp" if settings.strategy == "auto" else settings.strategy
    return replace(settings, devices=found.devices, num_nodes=found.nodes, strategy=strategy)


def cluster() -> list[ClusterEnvironment]:
    """Lightning's plugin where it would not find the right one itself: under Slurm.

    It takes any process of a job for one of many; and signals are not its to answer.
    """
    found = launched()
    if "SLURM_JOB_ID" not in os.environ or (found and found.by == "torchrun"):
        return []
    if found is None:
        return [LightningEnvironment()]
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(found.devices))
    return [SLURMEnvironment(auto_requeue=False)]


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
