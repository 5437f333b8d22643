"""How the pages about networks spell counts, bytes and shapes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reid.report.text import DASH, short

_UNITS = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))


def count(value: float | None) -> str:
    """Three significant digits and the unit.

    >>> count(23_508_032), count(4_053_270_528), count(999_960), count(640), count(None)
    ('23.5 M', '4.05 G', '1 M', '640', '–')
    """
    if value is None or not math.isfinite(value):
        return DASH
    scale, unit = next(((s, u) for s, u in _UNITS if abs(value) >= 0.9995 * s), (1.0, ""))
    return f"{short(value / scale)}{unit}"


def memory(count_of_bytes: float | None) -> str:
    """Bytes in binary units.

    >>> memory(63_569_920), memory(3 * 2**30), memory(None)
    ('60.6 MiB', '3.0 GiB', '–')
    """
    if count_of_bytes is None or not math.isfinite(count_of_bytes):
        return DASH
    scale, unit = (2**30, "GiB") if count_of_bytes >= 2**30 else (2**20, "MiB")
    return f"{count_of_bytes / scale:.1f} {unit}"


def shape(numbers: Sequence[object] | None) -> str:
    """
    >>> shape([3, 256, 128]), shape(None)
    ('3 × 256 × 128', '–')
    """
    return DASH if numbers is None else " × ".join(map(str, numbers))


def field_size(field: Mapping[str, Any] | None) -> str:
    """The theoretical receptive field in pixels; a "+" where the unit sees the whole image as well.

    >>> field_size({"size": [16, 16], "whole": [True, True]}), field_size({"size": [None, None], "whole": [True, True]})
    ('16 × 16 +', 'whole image')
    """
    if field is None:
        return DASH
    if None in field["size"]:
        return "whole image"
    return shape(field["size"]) + (" +" if any(field["whole"]) else "")
