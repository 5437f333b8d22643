"""How to train: device, precision, length; and the Lightning Trainer that does it."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from reid.errors import UserError
from reid.training.fsdp import Sharded
from reid.training.launch import cluster
from reid.training.sync_batchnorm import SyncBatchNorms

PRECISIONS = ("auto", "32", "bf16")
_AT_LEAST_1 = (
    "max_epochs", "num_nodes", "accumulate", "chunk", "scale_lr_from", "limit_train_batches", "val_every_n_epochs",
    "log_every_n_steps",
)  # fmt: skip


@dataclass(frozen=True)
class TrainerSettings:
    """Attributes:
    max_epochs: epochs in all; a resumed run goes on up to this number.
    accelerator, devices, num_nodes, strategy: as in Lightning's Trainer; ``fsdp`` is ``reid.training.fsdp.Sharded``.
    sync_batchnorm: BatchNorm over the images of all processes, where each has its own otherwise; also on CPUs.
    accumulate: batches of P x K whose mean gradient makes a step.
    chunk: images whose activations are kept at a time, or None for all; see ``reid.training.chunks``.
    scale_lr_from: the number of images in a step that ``optimizer.lr`` is meant for, to scale it to the number here
        (Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.1); None takes the rate as it is.
    compile: whether ``torch.compile`` makes the training step's network.
    precision: ``32``, ``bf16`` (autocast; losses and metrics stay in float32), or ``auto``.
    channels_last: memory format of network and images.
    ema: decay of an exponential moving average of the weights, which then is the reported model; None for none.
    gradient_clip_val: largest norm of the gradient, or None.
    limit_train_batches: batches in an epoch, or None for all.
    checkpoint_every_n_epochs: how often a numbered checkpoint is kept beside ``last.ckpt``; 0 for never.
    checkpoint_every_n_steps: how often ``last.ckpt`` is written inside an epoch too; 0 for never.
    on_nan: what a loss that is not finite leads to: ``stop``, or ``rollback`` to the last good checkpoint.
    nan_factor, nan_tries: on the learning rate at each rollback, and how many a run may have.
    spike: a loss above so many times the median of the 50 before it counts as not finite; None for none.
    val_every_n_epochs: how often the held-out identities are judged.
    log_every_n_steps: spacing of the TensorBoard points.
    profiler: None or ``simple``; writes ``fit-profile.txt`` into the run.
    """

    max_epochs: int
    accelerator: str = "auto"
    devices: int | str = 1
    num_nodes: int = 1
    strategy: str = "auto"
    sync_batchnorm: bool = False
    accumulate: int = 1
    chunk: int | None = None
    scale_lr_from: int | None = None
    compile: bool = False
    precision: str | int = "auto"
    channels_last: bool = True
    ema: float | None = None
    gradient_clip_val: float | None = None
    limit_train_batches: int | None = None
    checkpoint_every_n_epochs: int = 0
    checkpoint_every_n_steps: int = 0
    on_nan: str = "stop"
    nan_factor: float = 0.5
    nan_tries: int = 3
    spike: float | None = None
    val_every_n_epochs: int = 1
    log_every_n_steps: int = 10
    profiler: str | None = None

    def __post_init__(self) -> None:
        if str(self.precision) not in PRECISIONS:
            raise UserError(f"trainer.precision={self.precision} is unknown: choose one of {', '.join(PRECISIONS)}")
        for key in _AT_LEAST_1:
            if (given := getattr(self, key)) is not None and given < 1:
                raise UserError(f"trainer.{key}={given} must be at least 1")
        if self.chunk is not None and self.sync_batchnorm:
            raise UserError(
                f"trainer.chunk={self.chunk} lets BatchNorm see a chunk at a time, trainer.sync_batchnorm=true all "
                "images at once: choose one"
            )
        if self.gradient_clip_val is not None and self.gradient_clip_val <= 0:
            raise UserError(f"trainer.gradient_clip_val={self.gradient_clip_val} must be above 0, or null")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"trainer.ema={self.ema} must lie between 0 and 1, or be null")
        if self.on_nan not in ("stop", "rollback"):
            raise UserError(f"trainer.on_nan={self.on_nan} is unknown: choose stop or rollback")
        if not 0 < self.nan_factor < 1:
            raise UserError(f"trainer.nan_factor={self.nan_factor} must lie between 0 and 1")
        if self.nan_tries < 1:
            raise UserError(f"trainer.nan_tries={self.nan_tries} must be at least 1")
        if self.spike is not None and self.spike <= 1:
            raise UserError(f"trainer.spike={self.spike} must be above 1, or null")
        for key in ("checkpoint_every_n_epochs", "checkpoint_every_n_steps"):
            if (given := getattr(self, key)) < 0:
                raise UserError(f"trainer.{key}={given} must be at least 0")
        if self.profiler not in (None, "simple"):
            raise UserError(f"trainer.profiler={self.profiler} is unknown: choose simple or null")

        if self.chunk is not None and self.compile:
            raise UserError("trainer.chunk and trainer.compile do not go together: choose one")
        if self.strategy == "fsdp" and (other := [k for k in ("ema", "chunk", "compile") if getattr(self, k)]):
            raise UserError(f"trainer.strategy=fsdp and trainer.{other[0]} do not go together: choose one")
        if self.strategy == "fsdp" and self.on_nan == "rollback":
            raise UserError("trainer.strategy=fsdp and trainer.on_nan=rollback do not go together: choose one")

    @property
    def device(self) -> torch.device:
        """Where one process computes."""
        return device_for(self.accelerator)

    def rate_factor(self, batch_images: int) -> float:
        """What ``optimizer.lr`` is multiplied by, where a batch has so many images over all processes."""
        return batch_images * self.accumulate / self.scale_lr_from if self.scale_lr_from else 1.0


def device_for(accelerator: str, *, option: str = "trainer.accelerator") -> torch.device:
    """``auto``, ``cpu`` or ``gpu`` as a torch device; UserError names ``option`` where there is no such device."""
    if accelerator not in ("auto", "cpu", "gpu"):
        raise UserError(f"{option}={accelerator} is unknown: choose auto, cpu or gpu")
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError(f"{option}=gpu but this machine has no CUDA device: choose auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def use_bf16(precision: str | int, device: torch.device, net: nn.Module) -> tuple[bool, str]:
    """Whether to run ``net`` under bfloat16 autocast, and why.

    ``auto`` takes bfloat16 where the device computes with it and the network gains: measured on a CPU with
    avx512_bf16, ResNets train two to three times faster with it, but nets of depthwise convolutions slower.
    """
    if str(precision) != "auto":
        return str(precision) == "bf16", "as asked"
    if device.type == "cuda":
        good = torch.cuda.is_bf16_supported(including_emulation=False)
        return good, f"{torch.cuda.get_device_name()} {'has' if good else 'has no'} bfloat16"
    if not _cpu_has_bf16():
        return False, "this CPU has no bfloat16 instructions"
    if any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in net.modules()):
        return False, "depthwise convolutions are slower in bfloat16 on a CPU"
    return True, "this CPU has bfloat16 instructions"


def _cpu_has_bf16() -> bool:
    try:
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    except AttributeError:  # private, and absent on other processors
        return False


def build_trainer(
    settings: TrainerSettings,
    *,
    root: str,
    bf16: bool,
    callbacks: Sequence[Callback],
    plugins: Sequence[Any],
    logger: Any,
) -> pl.Trainer:
    """Lightning's Trainer for these settings; UserError where the machine cannot do what they ask."""
    quiet_lightning()
    profiler, norms = None, SyncBatchNorms(settings.device) if settings.sync_batchnorm else None
    if settings.profiler == "simple":
        from pytorch_lightning.profilers import SimpleProfiler

        profiler = SimpleProfiler(dirpath=root, filename="profile")
    try:
        return pl.Trainer(
            default_root_dir=root,
            accelerator="gpu" if settings.device.type == "cuda" else "cpu",
            devices=settings.devices,
            num_nodes=settings.num_nodes,
            strategy=Sharded(norms) if settings.strategy == "fsdp" else settings.strategy,
            accumulate_grad_batches=settings.accumulate,
            precision="bf16-mixed" if bf16 else "32-true",
            max_epochs=settings.max_epochs,
            gradient_clip_val=settings.gradient_clip_val,
            limit_train_batches=settings.limit_train_batches,
            check_val_every_n_epoch=settings.val_every_n_epochs,
            log_every_n_steps=settings.log_every_n_steps,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            callbacks=list(callbacks),
            plugins=[*plugins, *cluster(), *([norms] if norms else [])],
            logger=logger,
            profiler=profiler,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise UserError(f"trainer: {' '.join(str(error).split())}") from error


def quiet_lightning() -> None:
    """Keep from the terminal what a user of this framework cannot act on."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*Detected call of `lr_scheduler.step\\(\\)` before.*",
        ".*tensorboardX.*",
        ".*WeightAveraging doesn't support sharding.*",  # the two are refused
        ".*Grad strides do not match bucket view strides.*",  # of 1x1 kernels, whose strides mean nothing
        ".*`srun` command is available.*",  # on a login node that trains by itself
        ".*module\\(s\\) in eval mode at the start of training.*",  # frozen stages are meant to be
        ".*Total length of `list` across ranks is zero.*",
        ".*resuming from a checkpoint that ended before the epoch.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",  # the numbers of the first process are those of all
    ):
        warnings.filterwarnings("ignore", message)
