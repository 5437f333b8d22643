"""What the convolutions of any network do: kinds, sizes, costs, receptive fields, translation. ``analyse`` is the door.

>>> print(table(analyse(torchvision.models.resnet18(), (3, 224, 224))))  # doctest: +SKIP
"""

from reid.anatomy.analyse import Anatomy, Share, analyse
from reid.anatomy.convolution import KINDS, Window, output_size, transposed_size
from reid.anatomy.effective import Effective
from reid.anatomy.latency import Latency
from reid.anatomy.layers import Block, Layer
from reid.anatomy.shift import Shift
from reid.anatomy.sight import Field
from reid.anatomy.text import table

__all__ = [
    "KINDS",
    "Anatomy",
    "Block",
    "Effective",
    "Field",
    "Latency",
    "Layer",
    "Share",
    "Shift",
    "Window",
    "analyse",
    "output_size",
    "table",
    "transposed_size",
]
