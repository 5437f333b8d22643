"""ZFNet: a smaller first window and a smaller first stride than AlexNet's."""

from reid.anatomy.lessons.lesson import Lesson, Row
from reid.anatomy.lessons.measure import by, counted, field
from reid.models.backbones.alexnets import build


def lesson(reid: tuple[int, int] = (256, 128)) -> Lesson:
    """Both networks on the images of their papers and on those of ``reid``.

    Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.1.
    """
    table: dict[str, Row] = {}
    cases = (("alexnet_grouped", (227, 227)), ("zfnet", (224, 224)), ("alexnet_grouped", reid), ("zfnet", reid))
    for name, size in cases:
        a = counted(build(name), (3, *size))
        first = a.layers[0]
        assert first.window is not None
        table[f"{name}, {by(size)}"] = {
            "first window": f"{first.window.kernel[0]}/{first.window.stride[0]}", "its parameters": first.parameters,
            "first map": by(first.output[1:]), "last map": by(a.layers[-1].output[1:]), "field": by(field(a)),
            "parameters": a.parameters, "MACs": a.macs,
        }  # fmt: skip
    alex, zf = list(table.values())[-2:]
    return Lesson(
        "ZFNet's first layer",
        f"AlexNet of 2012 and ZFNet without their classifiers, on the images of the papers and of {by(reid)}.",
        "network and image",
        table,
        f"The first window {zf['first window']} in place of {alex['first window']} has "
        f"{zf['its parameters'] / alex['its parameters']:.2f} of the parameters and makes the first map of a re-ID "
        f"image {zf['first map']} in place of {alex['first map']}, for {zf['MACs'] / alex['MACs']:.1f} times the MACs "
        f"of the whole network. One unit of the last map sees {zf['field']} pixels, not {alex['field']}. ZFNet has "
        f"{zf['parameters']:,} parameters against {alex['parameters']:,} as it has no groups.",
    )
