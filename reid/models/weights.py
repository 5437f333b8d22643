"""Weights from files that cannot run code: safetensors, or .pth read with ``weights_only``."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from reid.errors import UserError

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "embedder.", "backbone.", "base.")  # "base." is reid-strong-baseline's and TransReID's
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
_ENOUGH = 0.9


def read_any(path: Path, *, option: str) -> Any:
    """What a .pth or .ckpt file holds, on the CPU. UserError names ``option`` if it is not there or not such a file."""
    if not path.is_file():
        raise UserError(f"{option}={path}: no such file")
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch thinks of a stranger's file is told below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{option}={path} is not a file of plain tensors (it holds objects that could run code, or is text)"
        ) from error
    except Exception as error:  # on damaged bytes torch raises almost anything, IndexError and struct.error among it
        raise UserError(f"{option}={path} is truncated or not a checkpoint") from error


def is_sound(path: Path) -> bool:
    """Whether a file that ``torch.save`` wrote is whole: its parts have the CRC-32 checksums written with them.

    ``torch.load`` does not look at these: a bit that a disk has changed in a tensor would be read as it is.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if file.testzip() is not None:
                return False
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)  # stricter with headers; reads no tensor
    except pickle.UnpicklingError:  # whole, but of objects
        return True
    except Exception:  # on damaged bytes both raise almost anything
        return False
    return True


def read(path: Path, *, option: str) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors or .pth file, without the wrappers and prefixes that trainers add."""
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise UserError(f"{option}={path}: no such file")
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError) as error:
            raise UserError(f"{option}={path} is truncated or not a safetensors file") from error
    content = read_any(path, option=option)
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    state = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not state:
        raise UserError(f"{option}={path} holds no named tensors")
    return state


def load(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> str:
    """Copy the tensors that match by name and shape, and say how many did.

    Raises:
        UserError: under 90 % of the module's tensors are found, or a layer of the same name and shape normalises in
            another way: the file is of a relative, as OSNet-IBN is of OSNet.
    """
    own = module.state_dict()
    found = {k: _unfolded(v, own.get(k)) for k, v in _renamed(state).items()}
    good = {k: v for k, v in found.items() if k in own and v.shape == own[k].shape}
    if other := _other_normalisation(own, found, good):
        raise UserError(f"{source} does not fit this backbone: {other}; choose the backbone it was made for")
    # Counters of BatchNorm are absent from older files and carry nothing for inference.
    wanted = [k for k in own if not k.endswith("num_batches_tracked")]
    missing = [k for k in wanted if k not in good]
    unexpected = [k for k in found if k not in good]
    report = f"{len(wanted) - len(missing)} of {len(wanted)} tensors"
    if missing:
        report += f", missing: {_some(missing)}"
    if unexpected:
        report += f", not used: {_some(unexpected)}"
    if len(wanted) - len(missing) < _ENOUGH * len(wanted):
        raise UserError(f"{source} does not fit this backbone: {report}; choose the backbone it was made for")
    module.load_state_dict(good, strict=False)
    return report


def _other_normalisation(
    own: Mapping[str, Tensor], found: Mapping[str, Tensor], good: Mapping[str, Tensor]
) -> str | None:
    """A layer whose weight is in ``good`` and that keeps running statistics on one side only, told in words."""
    for layer in (k.removesuffix(".weight") for k in good if k.endswith(".weight")):
        mean, variance = f"{layer}.running_mean", f"{layer}.running_var"
        if mean in own and mean not in found and variance not in found:
            return f"{layer} has running statistics here and none in the file"
        # before PyTorch 0.4.1, which brought the counter, instance normalisation may have them too
        if mean not in own and mean in found and f"{layer}.num_batches_tracked" in found:
            return f"{layer} has running statistics in the file and none here"
    return None


def _unfolded(value: Tensor, own: Tensor | None) -> Tensor:
    """[C] in place of [1, C], as files made before PyTorch 0.4 hold what belongs to channels."""
    return value[0] if own is not None and value.shape == (1, *own.shape) else value


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = list(state)
    for prefix in _PREFIXES:
        inside = [k for k in names if k.startswith(prefix)]
        if inside:
            state = {k.removeprefix(prefix): v for k, v in state.items()}
            names = list(state)
    return {_OLD_DENSENET.sub(r"\1\2.", k): v for k, v in state.items()}


def _some(names: list[str], most: int = 4) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} ({', '.join(names[:most])}{rest})"
