"""What the rest of the framework knows of a backbone."""

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError


class Backbone(nn.Sequential):
    """Named stages applied in order.

    Attributes:
        name: what people call the network.
        channels: C of the feature map.
        mean, std: the normalisation its weights were trained with, for RGB in 0..1.
        origin: where its weights came from, for the run's opening lines and its record.
        inside: the submodule in whose names people speak of stages and publish weights; "" for the backbone itself.
        cameras: the camids that it knows, if it looks at the camera of an image as well (side information embeddings).
        sides: stages after which auxiliary classifiers sit in training, with the channels of the maps there.
        checkpointing: whether training computes activations a second time instead of keeping them (Chen et al. 2016).
    """

    _camids: Tensor

    def __init__(
        self,
        stages: "OrderedDict[str, nn.Module]",
        *,
        name: str,
        channels: int,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        origin: str = "from scratch",
        inside: str = "",
        cameras: Sequence[int] = (),
        sides: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(stages)
        self.name, self.channels = name, channels
        self.mean, self.std, self.origin = mean, std, origin
        self.inside, self.checkpointing = inside, False
        self.cameras, self.sides = tuple(sorted(cameras)), dict(sides or {})
        self.register_buffer("_camids", torch.tensor(self.cameras, dtype=torch.int64), persistent=False)
        self._frozen: tuple[nn.Module, ...] = ()

    @property
    def net(self) -> nn.Module:
        """The module that ``inside`` names."""
        return self.get_submodule(self.inside)

    def layers(self) -> list[tuple[str, nn.Module]]:
        """What is applied one after the other, by name: the stages, and in place of a sequence its members."""
        return list(_flat(self.net))

    def freeze(self, stages: Sequence[str]) -> Self:
        """Keep these stages as they are: no gradient, and the statistics of their batch normalisation fixed.

        Args:
            stages: names of stages, or of modules or parameters within: "layer1", "layer4.0", "cls_token".

        Raises:
            UserError: a name under which there is no parameter.
        """
        for stage in stages:
            mine = [p for n, p in self.net.named_parameters() if f"{n}.".startswith(f"{stage}.")]
            if not mine:
                known = ", ".join(n for n, m in self.net.named_children() if any(True for _ in m.parameters()))
                raise UserError(f"backbone.freeze={stage} names nothing with weights in {self.name}: it has {known}")
            for parameter in mine:
                parameter.requires_grad_(False)
        frozen = [m for n, m in self.net.named_modules() if any(f"{n}.".startswith(f"{stage}.") for stage in stages)]
        self._frozen = (*self._frozen, *frozen)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    def forward(self, images: Tensor, camids: Tensor | None = None) -> Tensor:
        """Normalised images [B, 3, H, W], and where ``cameras`` their camids int64 [B] -> feature map [B, C, h, w].

        Raises:
            UserError: a network that looks at cameras is given none, or one that it does not know.
        """
        if self.cameras:
            (stage,) = self
            return stage(images, self.camera_rows(camids))
        if not (self.checkpointing and self.training and torch.is_grad_enabled()) or self.inside:
            return super().forward(images)
        layers, features = [module for _, module in self.layers()], images
        size = math.ceil(math.sqrt(len(layers)))
        for part in (layers[start : start + size] for start in range(0, len(layers), size)):
            features = checkpoint(
                nn.Sequential(*part), features, use_reentrant=False, context_fn=partial(_contexts, part)
            )
        return features

    def with_sides(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The same, and the maps [B, c, h, w] on the way, after the stages that ``sides`` names."""
        found, features = [], images
        for name, stage in self.named_children():
            features = stage(features)
            if name in self.sides:
                found.append(features)
        return features, found

    def camera_rows(self, camids: Tensor | None) -> Tensor:
        """Camids int64 [B] -> the place of each among ``cameras``, int64 [B]. UserError for none or an unknown one."""
        if camids is None:
            raise UserError(
                f"{self.name} was made with backbone.cameras: give the camid of each image, camids int64 [B]"
            )
        rows = torch.searchsorted(self._camids, camids).clamp(max=len(self.cameras) - 1)
        if (strange := self._camids[rows] != camids).any():
            raise UserError(
                f"camera {int(camids[strange][0])} is none of those that {self.name} was made with "
                f"(backbone.cameras={list(self.cameras)}): such a network can only embed what its own cameras saw"
            )
        return rows

    def save_memory(self) -> Self:
        """Turn ``checkpointing`` on.

        Gradients and running statistics come out as without it; but timm's own networks, which do this themselves,
        move the statistics of batch normalisation twice a step.

        Raises:
            UserError: a network from elsewhere that cannot, or one with auxiliary classifiers.
        """
        if self.sides:
            raise UserError("backbone.checkpointing and backbone.auxiliary do not go together: choose one")
        self.checkpointing = True
        if self.inside:
            try:
                self.net.set_grad_checkpointing(True)  # type: ignore[operator]
            except (AttributeError, AssertionError, RuntimeError) as error:
                raise UserError(
                    f"backbone.checkpointing=true is not for {self.name}: it cannot compute twice"
                ) from error
        return self


def learning_rates(backbone: Backbone, decay: float) -> dict[str, float]:
    """The factor on the learning rate of every parameter, by its name in the backbone.

    With n layers that have weights, those of layer i = 1..n learn at ``decay ** (n + 1 - i)`` of the head's rate
    (Clark et al., ELECTRA, ICLR 2020); parameters outside all layers, such as position embeddings, as the first.
    """
    prefix = f"{backbone.inside}." if backbone.inside else ""
    names = [f"{prefix}{name}." for name, module in backbone.layers() if any(True for _ in module.parameters())]
    factors = {}
    for parameter, _ in backbone.named_parameters():
        place = next((i for i, name in enumerate(names) if parameter.startswith(name)), 0)
        factors[parameter] = decay ** (len(names) - place)
    return factors


def _flat(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    for child_name, child in module.named_children():
        full = f"{name}.{child_name}" if name else child_name
        if type(child) is nn.Sequential and len(child):
            yield from _flat(child, full)
        else:
            yield full, child


def _contexts(part: Sequence[nn.Module]) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), keep_statistics(part)


@contextmanager
def keep_statistics(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Batch normalisation sees its batch twice, and must move its statistics once."""
    norms = [m for module in modules for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
