"""What a forward pass keeps in memory for the backward pass."""

import torch
from torch import Tensor, nn

from reid.anatomy.layers import FLOAT32


def kept_for_backward(module: nn.Module, images: Tensor) -> int:
    """Bytes that autograd saves during a forward pass of ``images``, every tensor once, weights and buffers aside.

    Floating tensors count as float32. A tensor that several operations save, or a view of it, is one tensor. Frozen
    layers keep what they really keep, which is less.
    """
    own = {t.untyped_storage()._cdata for t in (*module.parameters(), *module.buffers())}
    kept: dict[int, tuple[Tensor, int]] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            size = FLOAT32 if tensor.is_floating_point() else tensor.element_size()
            elements = storage.nbytes() // tensor.element_size()
            kept[storage._cdata] = (tensor, elements * size)  # held, so that its address is not given away again
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        out = module(images)  # alive until here, with its graph
    del out
    return sum(size for _, size in kept.values())
