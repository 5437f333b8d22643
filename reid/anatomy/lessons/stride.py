"""The last stride of ResNet-50, the trick of every re-ID baseline."""

from collections import OrderedDict

import torchvision
from torch import nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import MIB, by, counted, field
from reid.models.backbones.torchvision_nets import set_last_stride


def trunk(stride: int, dilated: bool = False) -> nn.Module:
    """ResNet-50 up to its last map; ``dilated`` is stride 1 in the last stage with dilation 2 in its place."""
    net = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, False, dilated])
    set_last_stride(net, "resnet50", stride)
    return nn.Sequential(OrderedDict((k, m) for k, m in net.named_children() if k not in ("avgpool", "fc")))


def lesson(size: tuple[int, int] = (256, 128), repeats: int = 5) -> Lesson:
    """Stride 2 and 1 in the last stage, for images of ``size``.

    Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-identification, CVPR Workshops 2019, section 3.4.
    """
    nets = {"stride 2": trunk(2), "stride 1": trunk(1), "stride 1, dilation 2": trunk(2, dilated=True)}
    table: dict[str, Row] = {}
    for name, net in nets.items():
        a = counted(net, (3, *size), batches=(1,), repeats=repeats)
        table[name] = {
            "parameters": a.parameters, "last map": by(a.layers[-1].output[1:]), "field": by(field(a)), "MACs": a.macs,
            "training MiB": round((a.training_bytes or 0) / MIB, 1), "ms": round(a.latency[0].milliseconds, 1),
        }  # fmt: skip
    two, one, dilated = table.values()
    return Lesson(
        "The last stride",
        f"ResNet-50 without its classifier on one image of {by(size)}; the last stage halves the map, does not, or "
        "spreads its taps instead. MiB are what is kept for the backward pass of the image, ms are of this machine.",
        "last stage",
        table,
        f"Stride 1 makes the last map {one['last map']} in place of {two['last map']} without one parameter more, for "
        f"{one['MACs'] / two['MACs']:.2f} times the MACs, {one['training MiB'] / two['training MiB']:.2f} times the "
        f"memory and {one['ms'] / two['ms']:.2f} times the time. Its field shrinks from {two['field']} to "
        f"{one['field']}; dilation brings back {dilated['field']}.",
    )
