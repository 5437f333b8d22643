"""Inception-v2, the BN-Inception of Ioffe and Szegedy, under the tensor names of its published weights."""

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.errors import UserError
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill_from_file


class _Block(NamedTuple):
    """Output channels of the four branches of an inception block; a pair is a 1x1 reduction and what follows it."""

    one: int  # 1x1; 0: the block has none, it halves the map and hands its pooled input on
    three: tuple[int, int]  # 1x1, 3x3
    double: tuple[int, int]  # 1x1, 3x3, 3x3: two small windows for the 5x5 of GoogLeNet
    pool: str
    projected: int  # 1x1 after the pooling


_BLOCKS = {
    "inception_3a": _Block(64, (64, 64), (64, 96), "avg", 32),
    "inception_3b": _Block(64, (64, 96), (64, 96), "avg", 64),
    "inception_3c": _Block(0, (128, 160), (64, 96), "max", 0),
    "inception_4a": _Block(224, (64, 96), (96, 128), "avg", 128),
    "inception_4b": _Block(192, (96, 128), (96, 128), "avg", 128),
    "inception_4c": _Block(160, (128, 160), (128, 160), "avg", 128),
    "inception_4d": _Block(96, (128, 192), (160, 192), "avg", 128),
    "inception_4e": _Block(0, (128, 192), (192, 256), "max", 0),
    "inception_5a": _Block(352, (192, 320), (160, 224), "avg", 128),
    "inception_5b": _Block(352, (192, 320), (192, 224), "max", 128),
}


class _Units(nn.Module):
    """Convolutions by name, each followed by its batch normalisation and the rectifier."""

    def add(self, name: str, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(outputs))

    def unit(self, name: str, x: Tensor) -> Tensor:
        return F.relu(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(x)), inplace=True)


class _Conv1(_Units):
    """The published weights were made for Caffe's images: BGR in 0..255.

    ``mean`` and ``std`` of a backbone scale RGB but cannot swap its channels, so the network does that itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.add("7x7_s2", 3, 64, 7, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.unit("7x7_s2", images.flip(1))


class _Conv2(_Units):
    def __init__(self) -> None:
        super().__init__()
        self.add("3x3_reduce", 64, 64, 1)
        self.add("3x3", 64, 192, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.unit("3x3", self.unit("3x3_reduce", x))


class _Inception(_Units):
    """Four branches side by side, [B, inputs, h, w] -> [B, channels, h / stride, w / stride] rounded up."""

    def __init__(self, inputs: int, block: _Block, stride: int) -> None:
        super().__init__()
        self.block, self.stride = block, stride
        if block.one:
            self.add("1x1", inputs, block.one, 1)
        self.add("3x3_reduce", inputs, block.three[0], 1)
        self.add("3x3", *block.three, 3, stride)
        self.add("double_3x3_reduce", inputs, block.double[0], 1)
        self.add("double_3x3_1", *block.double, 3)
        self.add("double_3x3_2", block.double[1], block.double[1], 3, stride)
        if block.projected:
            self.add("pool_proj", inputs, block.projected, 1)
        self.channels = block.one + block.three[1] + block.double[1] + (block.projected or inputs)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.unit("1x1", x)] if self.block.one else []
        branches.append(self.unit("3x3", self.unit("3x3_reduce", x)))
        double = self.unit("double_3x3_1", self.unit("double_3x3_reduce", x))
        branches.append(self.unit("double_3x3_2", double))
        pooled = self._pool(x)
        branches.append(self.unit("pool_proj", pooled) if self.block.projected else pooled)
        return torch.cat(branches, 1)

    def _pool(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            # The original pools without padding. On odd maps that is one row short of the convolutions beside it (the
            # original cannot take such images), so there the pooling is padded as they are.
            return F.max_pool2d(x, 3, 2, padding=(x.shape[2] % 2, x.shape[3] % 2), ceil_mode=True)
        return (F.max_pool2d if self.block.pool == "max" else F.avg_pool2d)(x, 3, 1, padding=1)


def build(name: str, *, weights: str | None = None, last_stride: int = 2) -> Backbone:
    """BN-Inception (Ioffe and Szegedy, ICML 2015, figure 5) up to its last feature map, 1024 channels.

    Args:
        name: ``inception_v2``.
        weights: a .pth or .safetensors file to take the weights from, such as the ``bn_inception-52deb4733.pth`` of
            Cadene's pretrained-models.pytorch.
        last_stride: 1 keeps block 4e and those after it at stride 16; 2 is the original.

    Its stages are ``conv1``, ``conv2``, ``inception_3a`` ... ``inception_5b``. The published file names tensors in one
    flat row, ``inception_3a_3x3.weight`` and not ``inception_3a.3x3.weight``; so does this network's ``state_dict``.

    Raises:
        UserError: unknown name or option, a file that cannot be read or does not fit.
    """
    if name != "inception_v2":
        raise UserError(f"backbone.name={name} is unknown: known is inception_v2")
    if last_stride not in (1, 2):
        raise UserError(f"backbone.last_stride={last_stride} must be 1 or 2")
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_Conv1(),
        pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
        conv2=_Conv2(),
        pool2=nn.MaxPool2d(3, 2, ceil_mode=True),
    )
    channels = 192
    for stage, block in _BLOCKS.items():
        stride = {"inception_3c": 2, "inception_4e": last_stride}.get(stage, 1)
        stages[stage] = inception = _Inception(channels, block, stride)
        channels = inception.channels
    # Caffe's mean of blue, green and red is (104, 117, 128).
    mean, std = (128 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255)
    backbone = Backbone(stages, name=name, channels=channels, mean=mean, std=std)
    backbone.register_state_dict_post_hook(_flatten)
    backbone.register_load_state_dict_pre_hook(_nest)
    return fill_from_file(backbone, weights)


def _flatten(backbone: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """What ``state_dict`` gives, in the names of the published file."""
    _rename(state, [(f"{prefix}{stage}.", f"{prefix}{stage}_") for stage, _ in backbone.named_children()])


def _nest(backbone: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """What ``load_state_dict`` is given, in the names of the modules."""
    _rename(state, [(f"{prefix}{stage}_", f"{prefix}{stage}.") for stage, _ in backbone.named_children()])


def _rename(state: dict[str, Tensor], prefixes: list[tuple[str, str]]) -> None:
    for key in list(state):  # in place, as PyTorch wants it; all are put back, so that their order stays
        value = state.pop(key)
        for old, new in prefixes:
            if key.startswith(old):
                key = new + key.removeprefix(old)
                break
        state[key] = value
