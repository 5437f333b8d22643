"""torchvision's networks without their classifiers, under torchvision's own tensor names."""

import difflib
import logging
import socket
from collections import OrderedDict
from pathlib import Path

import torchvision
from torch import Tensor, nn

from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD
from reid.errors import UserError
from reid.models import weights as weight_files
from reid.models.backbones.backbone import Backbone

log = logging.getLogger(__name__)

CHANNELS = {
    "resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048, "resnet152": 2048, "densenet121": 1024,
    "inception_v3": 2048, "googlenet": 1024, "vgg16": 512, "alexnet": 256, "mobilenet_v2": 1280,
}  # fmt: skip
_HEADS = {"avgpool", "fc", "classifier", "dropout", "AuxLogits", "aux1", "aux2"}
_DOWNLOAD_TIMEOUT_S = 20


def build(
    name: str, *, pretrained: str | bool = "auto", weights: str | None = None, last_stride: int | None = None
) -> Backbone:
    """A torchvision network up to its last feature map.

    Args:
        name: a key of ``CHANNELS``.
        pretrained: ``True`` needs ImageNet weights, ``False`` starts from scratch, ``"auto"`` takes the weights where
            they can be had and otherwise says loudly that it starts from scratch.
        weights: a .pth or .safetensors file to take the weights from instead.
        last_stride: 1 keeps the last stage of a ResNet at stride 16 (Luo et al. 2019); 2 is the original.

    Raises:
        UserError: unknown name or option, weights that cannot be had or do not fit.
    """
    if name not in CHANNELS:
        near = difflib.get_close_matches(name, CHANNELS, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"backbone.name={name} is unknown: {hint}known are {', '.join(CHANNELS)}")
    if pretrained not in ("auto", True, False):
        raise UserError(f"backbone.pretrained={pretrained} is unknown: choose auto, true or false")
    inception = name in ("googlenet", "inception_v3")
    extra = {"aux_logits": False, "init_weights": True, "transform_input": False} if inception else {}
    net = torchvision.models.get_model(name, weights=None, **extra)
    if name.startswith("resnet"):
        _set_last_stride(net, 2 if last_stride is None else last_stride)
    elif last_stride is not None:
        raise UserError(f"backbone.last_stride is for the ResNets; {name} has no such option")
    stages = OrderedDict((k, m) for k, m in net.named_children() if k not in _HEADS)
    if name == "densenet121":
        stages["relu"] = nn.ReLU(inplace=True)
    # The published Inception weights were trained on pixels in -1..1.
    mean, std = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)) if inception else (IMAGENET_MEAN, IMAGENET_STD)
    backbone = Backbone(stages, name=name, channels=CHANNELS[name], mean=mean, std=std)
    backbone.origin = _fill(backbone, name, pretrained, weights)
    return backbone


def _fill(backbone: Backbone, name: str, pretrained: str | bool, weights: str | None) -> str:
    """Load the weights asked for and say where they came from."""
    if weights is not None:
        path = Path(weights).expanduser()
        report = weight_files.load(backbone, weight_files.read(path, option="backbone.weights"), source=str(path))
        return f"{path} ({report})"
    if pretrained is False:
        return "from scratch (backbone.pretrained=false)"
    try:
        state = _download(name)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        if pretrained is True:
            raise UserError(
                f"backbone.pretrained=true but the ImageNet weights of {name} cannot be had ({reason}): "
                "give a file with backbone.weights=FILE, or start from scratch with backbone.pretrained=false"
            ) from error
        log.warning(
            "NO PRETRAINED WEIGHTS: those of %s cannot be had (%s), the net starts from scratch and will score far "
            "lower; give a file with backbone.weights=FILE", name, reason,
        )  # fmt: skip
        return "from scratch (ImageNet weights could not be had)"
    report = weight_files.load(backbone, state, source=f"ImageNet weights of {name}")
    return f"ImageNet, torchvision IMAGENET1K_V1 ({report})"


def _download(name: str) -> dict[str, Tensor]:
    """torchvision's first ImageNet weights, from its cache or the network."""
    entry = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        return dict(entry.get_state_dict(progress=False, check_hash=True))
    except RuntimeError as error:  # the file came damaged
        raise OSError(str(error)) from error
    finally:
        socket.setdefaulttimeout(before)


def _set_last_stride(net: nn.Module, stride: int) -> None:
    if stride not in (1, 2):
        raise UserError(f"backbone.last_stride={stride} must be 1 or 2")
    for module in net.get_submodule("layer4.0").modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            module.stride = (stride, stride)
