"""Which input pixels each unit along one axis sees: spans that repeat, so they hold for a map of any size."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

Span = tuple[int, int]  # first and last input pixel, both seen


class UnknownField(Exception):  # noqa: N818
    """No receptive field can be given; the message says why. Shown in the result, never raised to the user."""


@dataclass(frozen=True)
class Axis:
    """The spans of the units 0..period-1 of an axis; unit i + period sees what unit i sees, ``advance`` pixels on.

    Padding is no limit here: spans run on beyond the edges of the image, which is what makes the size a property of
    the network alone. Plain convolutions have period 1. A transposed convolution, an upsampling or an uneven adaptive
    pooling has units of several sorts, hence the period; None is a unit that sees nothing (a hole of a transposed
    convolution whose stride exceeds its kernel).
    """

    spans: tuple[Span | None, ...]
    advance: int

    @property
    def size(self) -> int:
        """Pixels seen by the unit that sees most."""
        return max((high - low + 1 for low, high in filter(None, self.spans)), default=0)

    @property
    def jump(self) -> Fraction:
        """Pixels between neighbouring units: the product of the strides so far."""
        return Fraction(self.advance, len(self.spans))

    @property
    def start(self) -> float | None:
        """The pixel (0 is the centre of the first one) at the centre of what the first unit sees."""
        first = self.spans[0]
        return None if first is None else (first[0] + first[1]) / 2

    def span(self, unit: int) -> Span | None:
        """What one unit sees; any integer is a unit."""
        turns, rest = divmod(unit, len(self.spans))
        seen, shift = self.spans[rest], turns * self.advance
        return None if seen is None else (seen[0] + shift, seen[1] + shift)


PIXELS = Axis(((0, 0),), 1)


def read(axis: Axis, taps: Callable[[int], Iterable[int]], *, outputs: int = 1, inputs: int = 1) -> Axis:
    """The axis of a layer whose unit i reads the units ``taps(i)`` of ``axis``.

    ``taps`` must repeat: ``taps(i + outputs)`` is ``taps(i)`` moved by ``inputs``.
    """
    turns = len(axis.spans) // gcd(len(axis.spans), inputs)  # until both patterns begin anew
    spans = tuple(_hull(axis.span(tap) for tap in taps(unit)) for unit in range(outputs * turns))
    return Axis(spans, inputs * turns * axis.advance // len(axis.spans))


def window(axis: Axis, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Axis:
    """A convolution or pooling; ``padding`` is what precedes the first unit (negative: units cut off)."""
    return read(
        axis, lambda i: (i * stride - padding + k * dilation for k in range(kernel)), inputs=stride
    )  # fmt: skip


def transposed(axis: Axis, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
    """A transposed convolution: input unit j writes to the outputs j * stride - padding + k * dilation."""

    def taps(i: int) -> Iterable[int]:
        reached = (i + padding - k * dilation for k in range(kernel))
        return (r // stride for r in reached if r % stride == 0)

    return read(axis, taps, outputs=stride)


def adaptive(axis: Axis, size: int, out: int) -> Axis:
    """PyTorch's adaptive pooling: window i is floor(i n / m) .. ceil((i + 1) n / m) - 1."""
    common = gcd(size, out)
    taps = lambda i: range(i * size // out, -(-(i + 1) * size // out))  # noqa: E731
    return read(axis, taps, outputs=out // common, inputs=size // common)


def resized(axis: Axis, size: int, out: int, kind: str) -> Axis:
    """Interpolation without aligned corners from ``size`` to ``out`` units."""
    common = gcd(size, out)
    reach = {"linear": 1, "bilinear": 1, "bicubic": 2}.get(kind)

    def taps(i: int) -> Iterable[int]:
        if kind == "nearest":
            return (i * size // out,)
        if reach is None:  # nearest_exact: floor((i + 1/2) n / m)
            return ((2 * i + 1) * size // (2 * out),)
        below, rest = divmod((2 * i + 1) * size - out, 2 * out)  # (i + 1/2) n / m - 1/2
        return range(below - reach + 1, below + reach + 1) if rest else (below,)

    return read(axis, taps, outputs=out // common, inputs=size // common)


def union(a: Axis, b: Axis) -> Axis:
    """Branches that meet: the hull, so the widest path decides.

    Raises:
        UnknownField: the branches have different strides.
    """
    if a.jump != b.jump:
        raise UnknownField(f"branches of strides {a.jump} and {b.jump} meet")
    period = lcm(len(a.spans), len(b.spans))
    spans = tuple(_hull((a.span(i), b.span(i))) for i in range(period))
    return Axis(spans, int(a.jump * period))


def _hull(spans: Iterable[Span | None]) -> Span | None:
    seen = [s for s in spans if s is not None]
    return (min(s[0] for s in seen), max(s[1] for s in seen)) if seen else None
