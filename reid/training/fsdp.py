"""Weights, gradients and optimiser state in shares on the devices (trainer.strategy=fsdp), for large backbones."""

import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from reid import processes
from reid.models.embedder import Embedder


def strategy() -> ModelParallelStrategy:
    """Lightning's, whose checkpoints are one file with the whole weights, as those of any other run."""
    return ModelParallelStrategy(save_distributed_checkpoint=False)


def shard(embedder: Embedder, device: torch.device) -> None:
    """Deal the parameters to all processes (Zhao et al., PyTorch FSDP, VLDB 2023): those of each stage of the backbone
    come together when it computes, and those of the head when the network does. Buffers stay whole on each process."""
    embedder.to(memory_format=torch.contiguous_format)  # FSDP refuses others
    mesh = init_device_mesh(device.type, (processes.count(),))
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
