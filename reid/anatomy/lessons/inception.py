"""The Inception module: windows of several sizes side by side, made affordable by 1x1 convolutions."""

import torch
from torch import Tensor, nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted, field

INPUTS = 192  # channels that reach block 3a of GoogLeNet


class Branches(nn.ModuleList):
    """Every branch sees the same map [B, C, h, w]; their channels are put one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], 1)


def conv(inputs: int, outputs: int, *kernel: int) -> nn.Conv2d:
    height, width = kernel if len(kernel) == 2 else kernel * 2
    return nn.Conv2d(inputs, outputs, (height, width), padding="same")


def module(*windows: nn.Module) -> Branches:
    """Block 3a around the branches that differ: 64 channels of 1x1 and 32 of a pooled input."""
    pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(INPUTS, 32, 1))
    return Branches([conv(INPUTS, 64, 1), *windows, pooled])


def lesson(size: tuple[int, int] = (28, 28), reid: tuple[int, int] = (32, 16)) -> Lesson:
    """Block 3a of GoogLeNet (Szegedy et al., CVPR 2015, table 1) and its descendants (Szegedy et al., CVPR 2016).

    Args:
        size: of the map for images of 224x224.
        reid: of the map for images of 256x128.
    """
    three = nn.Sequential(conv(INPUTS, 96, 1), conv(96, 128, 3))
    modules = {
        "naive": Branches(
            [conv(INPUTS, 64, 1), conv(INPUTS, 128, 3), conv(INPUTS, 32, 5), nn.MaxPool2d(3, 1, 1)]
        ),
        "1x1 first (GoogLeNet)": module(three, nn.Sequential(conv(INPUTS, 16, 1), conv(16, 32, 5))),
        # From 16 to 32 channels in two steps: a first 3x3 that gave all 32 would cost more than the 5x5.
        "5x5 as two 3x3 (v2)": module(
            three, nn.Sequential(conv(INPUTS, 16, 1), conv(16, 24, 3), conv(24, 32, 3))
        ),
        "1x3, 3x1 and 1x7, 7x1 (v3)": module(
            nn.Sequential(conv(INPUTS, 96, 1), conv(96, 112, 1, 3), conv(112, 128, 3, 1)),
            nn.Sequential(conv(INPUTS, 16, 1), conv(16, 24, 1, 7), conv(24, 32, 7, 1)),
        ),
    }  # fmt: skip
    table: dict[str, Row] = {}
    for name, net in modules.items():
        a = counted(net, (INPUTS, *size))
        table[name] = {
            "parameters": a.parameters, f"MACs at {by(size)}": a.macs,
            f"MACs at {by(reid)}": counted(net, (INPUTS, *reid)).macs,
            "channels out": a.blocks[-1].shape[0], "widest field": by(field(a)),
        }  # fmt: skip
    naive, reduced, two, asymmetric = table.values()
    return Lesson(
        "The Inception module",
        f"Block 3a of GoogLeNet, {INPUTS} channels in: 1x1, 3x3, 5x5 and pooling side by side. Its map is {by(size)} "
        f"for an image of 224x224 and {by(reid)} for one of 256x128. The last two do to this block what v2 and v3 did.",
        "module",
        table,
        f"1x1 convolutions before the windows take {naive['parameters'] / reduced['parameters']:.1f} times fewer "
        f"parameters, and the one after the pooling keeps the output at {reduced['channels out']} channels where it "
        f"would grow from {INPUTS} to {naive['channels out']}. Two 3x3 save "
        f"{reduced['parameters'] - two['parameters']:,} parameters at the same {two['widest field']} field; the "
        f"asymmetric pairs save {reduced['parameters'] - asymmetric['parameters']:,} and see "
        f"{asymmetric['widest field']}.",
    )
