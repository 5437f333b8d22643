"""Where a backbone's first weights come from: a file, a library's published ones, or chance."""

import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from reid.errors import UserError
from reid.models import weights as weight_files
from reid.models.backbones.backbone import Backbone

log = logging.getLogger(__name__)

_DOWNLOAD_TIMEOUT_S = 20


def fill_from_file(backbone: Backbone, weights: str | None) -> Backbone:
    """The backbone with the weights of a .pth or .safetensors file, or as chance left it; ``origin`` says which.

    Raises:
        UserError: the file cannot be read, or under 90 % of the backbone's tensors are in it.
    """
    if weights is None:
        backbone.origin = "from scratch (backbone.weights=FILE takes published ones)"
        return backbone
    path = Path(weights).expanduser()
    report = weight_files.load(backbone.net, weight_files.read(path, option="backbone.weights"), source=str(path))
    backbone.origin = f"{path} ({report})"
    return backbone


def fill(
    backbone: Backbone,
    pretrained: str | bool,
    weights: str | None,
    *,
    download: Callable[[], Mapping[str, Tensor]],
    source: str,
) -> Backbone:
    """The backbone with the weights asked for; ``origin`` says where they came from.

    Args:
        backbone: whose tensors, under their names in ``backbone.net``, are filled.
        pretrained: ``True`` needs the published weights, ``False`` starts from scratch, ``"auto"`` takes them where
            they can be had and otherwise says loudly that it starts from scratch.
        weights: a file to take instead.
        download: gives the published weights, by name. OSError: they cannot be had.
        source: what these are called, "ImageNet, torchvision IMAGENET1K_V1".

    Raises:
        UserError: an unknown ``pretrained``, or weights that cannot be had or do not fit.
    """
    if pretrained not in ("auto", True, False):
        raise UserError(f"backbone.pretrained={pretrained} is unknown: choose auto, true or false")
    if weights is not None:
        return fill_from_file(backbone, weights)
    if pretrained is False:
        backbone.origin = "from scratch (backbone.pretrained=false)"
        return backbone
    name = backbone.name
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT_S)
    try:
        state = download()
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
        backbone.origin = "from scratch (ImageNet weights could not be had)"
        return backbone
    finally:
        socket.setdefaulttimeout(before)
    report = weight_files.load(backbone.net, state, source=f"{source} of {name}")
    backbone.origin = f"{source} ({report})"
    return backbone
