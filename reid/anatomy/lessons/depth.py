"""Depth: the field grows, what is really seen grows more slowly, and gradients vanish if nothing keeps them up."""

from math import sqrt

import torch
from torch import Tensor, nn

from reid.anatomy.effective import normal_images
from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import counted, field, seeded


class Residual(nn.Sequential):
    """x + f(x), He et al. 2016."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def stack(layers: int, channels: int, block: type[nn.Sequential]) -> nn.Sequential:
    """3x3 convolutions with ReLU and PyTorch's own initial weights, the first from RGB, the others in blocks."""
    with seeded(0):
        first = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        others = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers - 1)]
    return nn.Sequential(first, nn.ReLU(), *(block(conv, nn.ReLU()) for conv in others))


def larger(net: nn.Sequential) -> nn.Sequential:
    """The same stack with weights of variance 2 / inputs, which a ReLU does not shrink; PyTorch's have a sixth of it.

    He et al., Delving Deep into Rectifiers, ICCV 2015, equation 10.
    """
    with seeded(0):
        for weight in net.parameters():
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
    return net


def first_gradient(net: nn.Sequential, size: tuple[int, ...]) -> float:
    """Norm of the gradient of the mean output with respect to the weights of the first layer."""
    (gradient,) = torch.autograd.grad(net(normal_images(4, size, seed=0)).mean(), next(net.parameters()))
    return float(gradient.norm())


def lesson(depths: tuple[int, ...] = (2, 4, 8, 16, 32), channels: int = 16, side: int = 80) -> Lesson:
    """Plain and residual stacks of 3x3 without normalisation, on images of ``side`` x ``side``.

    Luo et al., Understanding the Effective Receptive Field in Deep Convolutional Neural Networks, NIPS 2016; He et
    al., Deep Residual Learning for Image Recognition, CVPR 2016.
    """
    size = (3, side, side)
    table: dict[str, Row] = {}
    for layers in depths:
        plain, residual = (stack(layers, channels, block) for block in (nn.Sequential, Residual))
        a, b = (counted(net, size, effective_inputs=4) for net in (plain, residual))
        assert a.effective is not None
        assert b.effective is not None
        table[str(layers)] = {
            "parameters": a.parameters, "field": field(a)[0],
            "effective": round(sqrt(a.effective.pixels), 1), "part %": round(100 * (a.effective.of_field or 0), 1),
            "effective, skips": round(sqrt(b.effective.pixels), 1),
            "gradient": first_gradient(plain, size), "gradient, skips": first_gradient(residual, size),
            "gradient, He": first_gradient(larger(plain), size),
        }  # fmt: skip
    rows = list(table.values())
    few, half, many = rows[0], rows[-2], rows[-1]
    return Lesson(
        "Depth",
        f"3x3 convolutions of {channels} channels with ReLU, PyTorch's random weights, no normalisation; with skips, "
        "each adds to its input. Effective is the side of a square of as many pixels as hold 95 % of the gradient of "
        "the centre, part is how much of the field they are. Gradient is the norm at the first layer's weights; He "
        "are plain stacks whose random weights are larger.",
        "layers",
        table,
        f"From {depths[-2]} to {depths[-1]} layers the field grows {many['field'] / half['field']:.2f} times and what "
        f"is really seen {many['effective'] / half['effective']:.2f} times (in theory as the root of the depth, "
        f"{sqrt(depths[-1] / depths[-2]):.2f}): {many['part %']:.0f} % of the field at {depths[-1]} layers, "
        f"{few['part %']:.0f} % at {depths[0]}. Between these the plain gradient shrinks by a factor of "
        f"{few['gradient'] / many['gradient']:.0e}, with He's weights by one of "
        f"{few['gradient, He'] / many['gradient, He']:.0f}. With skips it grows by a factor of "
        f"{many['gradient, skips'] / few['gradient, skips']:.0f}, but they keep the view to "
        f"{many['effective, skips']:.0f} pixels in place of {many['effective']:.0f}.",
    )
