"""A CUDA device for machines without one: tensors that say they are there, and operations that refuse to mix.

Everything is computed on the CPU, so results are those of the CPU. What is shown is that code puts each tensor where a
GPU wants it: an operation on a tensor "there" and one on the CPU raises, as CUDA's would, and so does ``numpy()``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("cuda", 0)
_MOVE = {"aten::_to_copy", "aten::copy_"}
_INDEX = {"aten::index.Tensor"}  # of a GPU's tensor, by indices on the CPU


class There(torch.Tensor):
    """A tensor that claims to be on ``DEVICE``."""

    inner: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "There":
        strided = inner.layout == torch.strided
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride() if strided else None, dtype=inner.dtype, device=DEVICE
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat = tree_flatten((args, kwargs))[0]
        if any(isinstance(value, There) for value in flat):
            self.operations.add(func.name())
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    there = [t for t in tensors if isinstance(t, There)]
    asked = kwargs.get("device")
    if func.name() not in _MOVE | _INDEX:
        here = [t for t in tensors if not isinstance(t, There) and t.dim() > 0]
        if here and there:
            raise RuntimeError(f"{func.name()}: expected all tensors to be on the same device")
    result_there = torch.device(asked).type == "cuda" if asked is not None else bool(there)
    if func.name() == "aten::copy_":
        result_there = isinstance(args[0], There)
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    of_inner = {id(t.inner): t for t in there}
    inner = tree_map(lambda v: v.inner if isinstance(v, There) else v, (args, kwargs))
    found = func(*inner[0], **inner[1])

    def put(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) in of_inner:
            return of_inner[id(value)]
        return There(value) if result_there else value

    return tree_map(put, found)


@contextmanager
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Mode]:
    """Within it, tensors can be moved to ``DEVICE``; the mode tells which operations ran there."""
    torch._C._ensureCUDADeviceGuardSet()  # without a GPU, a guard that does nothing, as fake tensors use it
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with _Mode() as mode:
        yield mode
