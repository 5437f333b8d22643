"""Grouped and depthwise separable convolutions: AlexNet, ResNeXt, MobileNet, OSNet."""

from torch import nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted


def lesson(channels: int = 256, size: tuple[int, int] = (32, 16), batch: int = 8, repeats: int = 10) -> Lesson:
    """A 3x3 convolution taken apart, ``channels`` in and out, timed on ``batch`` maps of ``size``.

    Howard et al., MobileNets, 2017, section 3.1; Zhou et al., OSNet, ICCV 2019, section 3.1.
    """

    def three(groups: int) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)

    def one() -> nn.Conv2d:
        return nn.Conv2d(channels, channels, 1, bias=False)

    separable = 1 / channels + 1 / 3**2
    nets: dict[str, tuple[nn.Module, float]] = {  # with the part of the MACs by the formula
        "standard": (three(1), 1.0),
        **{f"{g} groups": (three(g), 1 / g) for g in (2, 4, 32)},
        "depthwise": (three(channels), 1 / channels),
        "depthwise, 1x1 (MobileNet)": (nn.Sequential(three(channels), one()), separable),
        "1x1, depthwise (OSNet)": (nn.Sequential(one(), three(channels)), separable),
    }
    found = {
        name: counted(net, (channels, *size), batches=(batch,), repeats=repeats) for name, (net, _) in nets.items()
    }
    whole = found["standard"]
    table: dict[str, Row] = {
        name: {
            "parameters": a.parameters, "MACs": a.macs, "part": a.macs / whole.macs, "by formula": nets[name][1],
            "ms": round(a.latency[0].milliseconds, 2),
            "part of time": round(a.latency[0].milliseconds / whole.latency[0].milliseconds, 3),
            "GMACs/s": round(a.macs * a.latency[0].images_per_second / 1e9, 1),
        }
        for name, a in found.items()
    }  # fmt: skip
    mobile, grouped, depthwise = table["depthwise, 1x1 (MobileNet)"], table["32 groups"], table["depthwise"]
    return Lesson(
        "Grouped and depthwise separable convolutions",
        f"3x3, {channels} channels in and out, {by(size)} map, no biases. By formula, g groups leave 1/g of the MACs "
        f"and a depthwise 3x3 with a 1x1 leaves 1/C_out + 1/k^2. Milliseconds are for {batch} maps on this machine.",
        "convolution",
        table,
        f"A depthwise 3x3 and a 1x1 need {100 * mobile['part']:.1f} % of the parameters and MACs, as the formula says, "
        f"and {100 * mobile['part of time']:.1f} % of the time here. MACs are not time: the standard convolution does "
        f"{table['standard']['GMACs/s']} billion a second, 32 groups {grouped['GMACs/s']} and the depthwise one "
        f"{depthwise['GMACs/s']}, since each value read from memory serves fewer of them.",
    )
