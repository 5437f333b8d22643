"""Small windows for a large one: VGG, Inception-v2 and Inception-v3."""

from torch import nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted, field


def lesson(channels: int = 64, size: tuple[int, int] = (64, 32)) -> Lesson:
    """Windows of 5x5 and 7x7 and what replaces them, ``channels`` in and out, on a map of ``size``.

    Simonyan and Zisserman, ICLR 2015, section 2.3; Szegedy et al., CVPR 2016, section 3.
    """

    def stack(*kernels: tuple[int, int]) -> nn.Sequential:
        # Without biases the ratios are exactly those of the papers.
        return nn.Sequential(*(nn.Conv2d(channels, channels, k, padding="same", bias=False) for k in kernels))

    nets = {
        "5x5": stack((5, 5)),
        "3x3, 3x3": stack((3, 3), (3, 3)),
        "1x5, 5x1": stack((1, 5), (5, 1)),
        "3x3, 1x3, 3x1": stack((3, 3), (1, 3), (3, 1)),
        "7x7": stack((7, 7)),
        "3x3, 3x3, 3x3": stack((3, 3), (3, 3), (3, 3)),
        "1x7, 7x1": stack((1, 7), (7, 1)),
    }
    table: dict[str, Row] = {}
    for name, net in nets.items():
        a = counted(net, (channels, *size))
        table[name] = {
            "layers": len(a.layers), "parameters": a.parameters, "MACs": a.macs, "activations": a.activations,
            "field": by(field(a)),
        }  # fmt: skip

    def ratio(large: str, small: str, column: str = "parameters") -> float:
        return table[large][column] / table[small][column]

    return Lesson(
        "Small windows for a large one",
        f"{channels} channels in and out on a {by(size)} map, no biases; a row is a stack of convolutions.",
        "windows",
        table,
        f"A 5x5 costs {ratio('5x5', '3x3, 3x3'):.2f} times the parameters and MACs of two 3x3 and "
        f"{ratio('5x5', '1x5, 5x1'):.2f} times those of 1x5 and 5x1; a 7x7 costs "
        f"{ratio('7x7', '3x3, 3x3, 3x3'):.2f} times three 3x3. All see {table['5x5']['field']} or "
        f"{table['7x7']['field']}. Each layer more is one more place for a ReLU, and one more map to keep: "
        f"{ratio('3x3, 3x3, 3x3', '7x7', 'activations'):.0f} times the activations for three layers.",
    )
