"""Weights, gradients and optimiser state in shares on the devices (trainer.strategy=fsdp), for large backbones."""

from typing import Any

import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.optim import Optimizer

from reid import processes
from reid.models.embedder import Embedder
from reid.training.sync_batchnorm import SyncBatchNorms


class Sharded(ModelParallelStrategy):
    """Lightning's, whose checkpoints here are one file with the whole weights, as those of any other run.

    Args:
        norms: what synchronises BatchNorms, or None to leave each process its own.
    """

    def __init__(self, norms: SyncBatchNorms | None = None) -> None:
        super().__init__(save_distributed_checkpoint=False)
        self.norms = norms

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The whole state, on the first process.

        Where there is none before the first step torch makes one by a step of its own, whose moments hold the weight
        decay already. It is left to the first real step instead, and zero in the checkpoint.
        """
        fresh = not optimizer.state
        found = super().optimizer_state(optimizer)
        if fresh:
            optimizer.state.clear()
            for values in found.get("state", {}).values():
                values.update({name: torch.zeros_like(v) for name, v in values.items() if isinstance(v, Tensor)})
        return found

    def shard(self, embedder: Embedder) -> None:
        """Deal the parameters to all processes (Zhao et al., PyTorch FSDP, VLDB 2023).

        Those of each stage of the backbone come together when it computes, and those of the head when the network does.
        Buffers stay whole on each process.
        """
        if self.norms is not None:
            self.norms.apply(embedder)
        embedder.to(memory_format=torch.contiguous_format)  # FSDP refuses others
        mesh = init_device_mesh(self.root_device.type, (processes.count(),))
        for stage in _stages(embedder.backbone):
            fully_shard(stage, mesh=mesh)
        fully_shard(embedder, mesh=mesh)
        register_fsdp_forward_method(embedder, "classify")


def _stages(backbone: nn.Module) -> list[nn.Module]:
    """The stages with parameters, and of those that are lists of blocks each block."""
    found: list[nn.Module] = []
    for stage in backbone.children():
        if isinstance(stage, nn.Sequential | nn.ModuleList):
            found += _stages(stage)
        elif any(True for _ in stage.parameters()):
            found.append(stage)
    return found
