"""What a tensor can see of the image, and how that passes through views and meeting branches."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from reid.anatomy.axes import PIXELS, Axis, UnknownField, union

NO_IMAGE = "it does not depend on the image"
Axes = dict[int, Axis]  # axis of the image (0 is its height) -> what is seen along it


class Folded(dict[int, Axis]):
    """The axes along a flattened dimension, and the (size, axes) of the dimensions that it was made of, so that a later
    view may unfold them: linear layers on [B, H, W, C] do so."""

    def __init__(self, parts: list[tuple[int, Axes]]) -> None:
        super().__init__(joined(axes for _, axes in parts))
        self.parts = parts


@dataclass(frozen=True)
class Sight:
    """``dims`` says which dimensions of a tensor run along which axes of the image (two where both are flattened into
    tokens). ``whole`` holds the axes of the image of which every element sees everything through some global step.
    ``why`` is set where nothing is known."""

    dims: dict[int, Axes] = field(default_factory=dict)
    whole: frozenset[int] = frozenset()
    why: str = ""

    @property
    def axes(self) -> Axes:
        """What one element sees along each axis of the image that is left."""
        return joined(self.dims.values())


@dataclass(frozen=True)
class Field:
    """The theoretical receptive field of one unit, per axis of the image.

    Attributes:
        size: pixels from the first to the last one seen along the widest local path, edges of the image ignored; None
            where no local path is left (after a global pooling).
        jump: pixels between neighbouring units, i.e. the stride so far.
        start: the pixel at the centre of what the first unit sees; 0 is the first pixel, negative is in the padding.
        whole: True where the unit sees the whole image as well, through a global pooling, a squeeze-and-excitation
            gate, a normalisation over positions or attention; ``size`` then is the field without those paths.
    """

    size: tuple[int | None, ...]
    jump: tuple[float | None, ...]
    start: tuple[float | None, ...]
    whole: tuple[bool, ...]

    @property
    def is_global(self) -> bool:
        return all(self.whole)

    def to_dict(self) -> dict[str, Any]:
        return {
            "size": list(self.size), "jump": list(self.jump), "start": list(self.start), "whole": list(self.whole),
            "global": self.is_global,
        }  # fmt: skip


def of_image(axes: int) -> Sight:
    """The sight of the input image [1, C, ...] itself."""
    return Sight({2 + i: {i: PIXELS} for i in range(axes)})


def as_field(sight: Sight | None, axes: int) -> tuple[Field | None, str]:
    """The field of a tensor, or None and why."""
    if sight is None:
        return None, NO_IMAGE
    if sight.why:
        return None, sight.why
    try:
        seen = sight.axes
    except UnknownField as error:
        return None, str(error)
    if lost := [i for i in range(axes) if i not in seen and i not in sight.whole]:
        return None, f"single positions were picked along axis {lost[0]} of the image"
    all_axes = [seen.get(i) for i in range(axes)]
    return Field(
        tuple(None if a is None else a.size for a in all_axes),
        tuple(None if a is None else float(a.jump) for a in all_axes),
        tuple(None if a is None else a.start for a in all_axes),
        tuple(i in sight.whole for i in range(axes)),
    ), ""


def joined(several: Iterable[Axes]) -> Axes:
    """What is seen through any of them."""
    several = list(several)
    folded = [axes for axes in several if isinstance(axes, Folded)]
    if folded and len(folded) == len(several) and len({tuple(n for n, _ in f.parts) for f in folded}) == 1:
        together = zip(*(f.parts for f in folded), strict=True)
        return (
            Folded([(same[0][0], joined(axes for _, axes in same)) for same in together]) if several[1:] else folded[0]
        )
    out: Axes = {}
    for axes in several:
        for i, axis in axes.items():
            out[i] = union(out[i], axis) if i in out else axis
    return out


def met(sights: list[Sight], shapes: list[tuple[int, ...]], out: tuple[int, ...]) -> Sight:
    """Tensors combined element by element, with PyTorch's broadcasting, into one of shape ``out``."""
    dims: dict[int, list[Axes]] = {}
    whole: set[int] = set()
    for sight, shape in zip(sights, shapes, strict=True):
        whole |= sight.whole
        for dim, axes in sight.dims.items():
            target = dim + len(out) - len(shape)
            if shape[dim] == 1 and out[target] > 1:  # one position for all: the map as a whole
                whole |= axes.keys()
            else:
                dims.setdefault(target, []).append(axes)
    return Sight({dim: joined(axes) for dim, axes in dims.items()}, frozenset(whole))


def without(sight: Sight, dims: Iterable[int]) -> Sight:
    """After something that mixes all positions along ``dims``; their axes are gone and seen as a whole."""
    gone = set(dims)
    axes = {i for dim in gone for i in sight.dims.get(dim, {})}
    return replace(sight, dims={d: a for d, a in sight.dims.items() if d not in gone}, whole=sight.whole | axes)


def viewed(sight: Sight, old: tuple[int, ...], new: tuple[int, ...]) -> Sight:
    """``tensor.view(new)``: positions may be flattened into tokens, an axis of the image may not be cut in pieces.

    Raises:
        UnknownField: it is.
    """
    if old == new:
        return sight
    rest_old, rest_new = [d for d, n in enumerate(old) if n != 1], [d for d, n in enumerate(new) if n != 1]
    dims: dict[int, Axes] = {}
    while rest_old:  # the smallest groups of dimensions of equal product
        before, after = [rest_old.pop(0)], [rest_new.pop(0)]
        while (a := prod(old[d] for d in before)) != (b := prod(new[d] for d in after)):
            (before if a < b else after).append((rest_old if a < b else rest_new).pop(0))
        parts = [p for d in before for p in _parts(sight.dims.get(d, {}), old[d])]
        if not any(axes for _, axes in parts):
            continue
        if len(after) == 1:
            dims[after[0]] = parts[0][1] if len(parts) == 1 else Folded(parts)
        elif [n for n, _ in parts] == [new[d] for d in after]:
            dims |= {d: axes for d, (_, axes) in zip(after, parts, strict=True) if axes}
        else:
            raise UnknownField("a view cuts an axis of the image into pieces")
    single = {i for d, axes in sight.dims.items() if old[d] == 1 for i in axes}  # one position is the whole map
    return Sight(dims, sight.whole | single)


def _parts(axes: Axes, size: int) -> list[tuple[int, Axes]]:
    return axes.parts if isinstance(axes, Folded) else [(size, axes)]
