"""Lessons: small measured tables of what convolutions do. ``LESSONS`` has them by name.

>>> print(to_text(LESSONS["kernels"]()))  # doctest: +SKIP
"""

from collections.abc import Callable

from reid.anatomy.lessons import (
    alexnet,
    depth,
    dilation,
    inception,
    kernels,
    output_size,
    pooling,
    separable,
    sharing,
    stride,
    transposed,
    zfnet,
)
from reid.anatomy.lessons.lesson import Lesson, to_markdown, to_text

__all__ = ["LESSONS", "Lesson", "to_markdown", "to_text"]

LESSONS: dict[str, Callable[[], Lesson]] = {  # in the order of a course
    "output_size": output_size.lesson,
    "sharing": sharing.lesson,
    "kernels": kernels.lesson,
    "depth": depth.lesson,
    "pooling": pooling.lesson,
    "stride": stride.lesson,
    "dilation": dilation.lesson,
    "transposed": transposed.lesson,
    "alexnet": alexnet.lesson,
    "zfnet": zfnet.lesson,
    "inception": inception.lesson,
    "separable": separable.lesson,
}
