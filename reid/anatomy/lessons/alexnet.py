"""AlexNet's two columns, one a GPU: the first grouped convolutions."""

from torch import nn

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import counted
from reid.models.backbones.alexnets import build


def lesson(size: tuple[int, int] = (227, 227)) -> Lesson:
    """Every convolution of AlexNet with its groups and with one.

    Krizhevsky, Sutskever and Hinton, NeurIPS 2012, section 3.2.
    """
    net = build("alexnet_grouped")
    grouped = {layer.name: layer for layer in counted(net, (3, *size)).layers if layer.macs}
    for m in net.children():
        if isinstance(m, nn.Conv2d):  # the weights for the other group's channels are added
            m.weight, m.groups = nn.Parameter(m.weight.repeat(1, m.groups, 1, 1)), 1
    single = {layer.name: layer for layer in counted(net, (3, *size)).layers if layer.macs}
    table: dict[str, Row] = {
        name: {
            "groups": layer.window.groups if layer.window else 1, "parameters": layer.parameters,
            "with one group": single[name].parameters, "MACs": layer.macs, "MACs with one group": single[name].macs,
        }
        for name, layer in grouped.items()
    }  # fmt: skip
    columns = list(table["conv1"])[1:]
    table["all"] = {"groups": "", **{c: sum(row[c] for row in table.values()) for c in columns}}
    total = table["all"]
    return Lesson(
        "AlexNet's two columns",
        f"The convolutions of AlexNet on an image of {size[0]}x{size[1]}. Two GPUs of 3 GB held half the channels "
        "each and exchanged them before conv3 only, so conv2, conv4 and conv5 have two groups.",
        "layer",
        table,
        f"Two groups halve the weights and MACs of conv2, conv4 and conv5: {total['parameters']:,} parameters in place "
        f"of {total['with one group']:,}, and {total['MACs'] / total['MACs with one group']:.2f} of the MACs. In "
        f"return, a channel of conv2 sees only half of conv1's.",
    )
