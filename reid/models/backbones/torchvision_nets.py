"""torchvision's networks without their classifiers, under torchvision's own tensor names."""

from collections import OrderedDict
from typing import Any

import torchvision
from torch import Tensor, nn

from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError, unknown
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill

CHANNELS = {
    "resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048,
    "resnext50_32x4d": 2048, "wide_resnet50_2": 2048,
    "densenet121": 1024, "densenet161": 2208, "densenet169": 1664, "densenet201": 1920,
    "inception_v3": 2048, "googlenet": 1024, "alexnet": 256,
    "vgg11": 512, "vgg13": 512, "vgg16": 512, "vgg19": 512,
    "vgg11_bn": 512, "vgg13_bn": 512, "vgg16_bn": 512, "vgg19_bn": 512,
    "mobilenet_v2": 1280, "mobilenet_v3_large": 960, "efficientnet_b0": 1280, "convnext_tiny": 768,
}  # fmt: skip
_HEADS = {"avgpool", "fc", "classifier", "dropout", "AuxLogits", "aux1", "aux2"}
_LAST_STRIDED = {  # by the start of a name: what halves the map for the last time
    "resnet": "layer4.0", "resnext": "layer4.0", "wide_resnet": "layer4.0", "densenet": "features.transition3.pool",
    "vgg": "features.-1", "mobilenet_v2": "features.14", "mobilenet_v3": "features.13", "efficientnet": "features.6",
}  # fmt: skip


def build(
    name: str,
    *,
    pretrained: str | bool = "auto",
    weights: str | None = None,
    last_stride: int | None = None,
    drop_path: float | None = None,
    auxiliary: bool = False,
) -> Backbone:
    """A torchvision network up to its last feature map.

    Args:
        name: a key of ``CHANNELS``.
        pretrained: ``True`` needs ImageNet weights, ``False`` starts from scratch, ``"auto"`` takes the weights where
            they can be had and otherwise says loudly that it starts from scratch.
        weights: a .pth or .safetensors file to take the weights from instead.
        last_stride: 1 leaves out the last halving of the map, which stays twice as high and wide (Luo et al. 2019); 2
            is the original.
        drop_path: how often the deepest residual branch is left out in training (Huang et al. 2016), the others in
            proportion to their depth; for convnext_tiny and efficientnet_b0.
        auxiliary: two more classifiers on the way, which training alone uses (Szegedy et al., CVPR 2015, section 5);
            for googlenet.

    Raises:
        UserError: unknown name or option, weights that cannot be had or do not fit.
    """
    if name not in CHANNELS:
        raise unknown("backbone.name", name, CHANNELS)
    if auxiliary and name != "googlenet":
        raise UserError(f"backbone.auxiliary is for googlenet; {name} has no such option")
    inception = name in ("googlenet", "inception_v3")
    extra: dict[str, Any] = {"aux_logits": False, "init_weights": True, "transform_input": False} if inception else {}
    if drop_path is not None:
        if name not in ("convnext_tiny", "efficientnet_b0"):
            raise UserError(f"backbone.drop_path is for convnext_tiny and efficientnet_b0; {name} has no such option")
        if not 0 <= drop_path < 1:
            raise UserError(f"backbone.drop_path={drop_path} must be at least 0 and below 1")
        extra["stochastic_depth_prob"] = drop_path
    net = torchvision.models.get_model(name, weights=None, **extra)
    set_last_stride(net, name, last_stride)
    stages = OrderedDict((k, m) for k, m in net.named_children() if k not in _HEADS)
    if name.startswith("densenet"):
        stages["relu"] = nn.ReLU(inplace=True)
    # The published Inception weights were trained on pixels in -1..1.
    mean, std = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)) if inception else (IMAGENET_MEAN, IMAGENET_STD)
    sides = {"inception4a": 512, "inception4d": 528} if auxiliary else {}
    backbone = Backbone(stages, name=name, channels=CHANNELS[name], mean=mean, std=std, sides=sides)
    return fill(
        backbone, pretrained, weights, download=lambda: _published(name), source="ImageNet, torchvision IMAGENET1K_V1"
    )


def set_last_stride(net: nn.Module, name: str, stride: int | None) -> None:
    """Leave out the last halving of the map for a stride of 1, without touching a weight."""
    if stride is None:
        return
    place = next((at for start, at in _LAST_STRIDED.items() if name.startswith(start)), None)
    if place is None:
        raise UserError(
            f"backbone.last_stride is for nets of which one block halves the map last ({', '.join(_LAST_STRIDED)}); "
            f"{name} has no such option"
        )
    if stride not in (1, 2):
        raise UserError(f"backbone.last_stride={stride} must be 1 or 2")
    if stride == 2:
        return
    inside, _, last = place.rpartition(".")
    parent = net.get_submodule(inside)
    if last in ("pool", "-1"):
        setattr(parent, [child for child, _ in parent.named_children()][-1], nn.Identity())
        return
    for module in parent.get_submodule(last).modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (1, 1)


def _published(name: str) -> dict[str, Tensor]:
    """torchvision's first ImageNet weights, from its cache or the network."""
    entry = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return dict(entry.get_state_dict(progress=False, check_hash=True))
    except RuntimeError as error:  # the file came damaged
        raise OSError(str(error)) from error
