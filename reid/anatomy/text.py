"""An ``Anatomy`` as plain text."""

from collections.abc import Sequence

from reid.anatomy.analyse import Anatomy
from reid.anatomy.layers import Layer
from reid.anatomy.sight import Field

_HEAD = ("layer", "kind", "kernel", "stride", "pad", "dil", "groups", "output", "params", "MMACs", "field", "jump")


def table(anatomy: Anatomy) -> str:
    """A line for each layer, then the totals. A field with "+" also sees the whole image; "!" marks an output whose
    size is not the formula's."""
    a = anatomy
    lines = _aligned([_HEAD, *(_row(x) for x in a.layers)])
    lines += ["", *_aligned([
        ("kind", "layers", "params", "%", "MACs", "%", "activations", "%", "as standard"),
        *((s.kind, str(s.layers), f"{s.parameters:,}", f"{100 * s.of_parameters:.1f}", f"{s.macs:,}",
           f"{100 * s.of_macs:.1f}", f"{s.activations:,}", f"{100 * s.of_activations:.1f}",
           f"{s.standard_parameters:,}") for s in a.shares),
    ])]  # fmt: skip
    lines += [
        "",
        f"{a.network}, input {_shape(a.size)}: {a.parameters:,} parameters ({a.unused_parameters:,} unused), "
        f"{a.macs / 1e9:.3f} GMACs of layers, {a.counted_macs / 1e9:.3f} with all matrix products",
        f"activations: {a.activations:,}; memory: {a.inference_bytes / 2**20:.1f} MiB at the widest layer"
        + ("" if a.training_bytes is None else f", {a.training_bytes / 2**20:.1f} MiB kept for training"),
    ]
    if a.last_map is not None:
        size, jump = _field(a.last_map.field)
        lines.append(
            f"last map: {a.last_map.name or 'the output'}, {_shape(a.last_map.shape)}, field {size}, jump {jump}"
        )
    if a.effective is not None:
        e = a.effective
        part = "" if e.of_field is None else f"{100 * e.of_field:.1f} % of the theoretical field in the image, "
        lines.append(f"95 % of the effect come from {e.pixels:,} pixels: {part}{100 * e.of_image:.1f} % of the image")
    lines += [f"shift {s.pixels:>3}: embedding {s.embedding:.4f}, map {s.map:.4f}" for s in a.shifts]
    lines += [f"batch {t.batch:>3}: {t.milliseconds:.2f} ms, {t.images_per_second:.1f} images/s" for t in a.latency]
    return "\n".join([*lines, *a.notes])


def _row(layer: Layer) -> tuple[str, ...]:
    w = layer.window
    size, jump = _field(layer.field)
    settings = ("", "", "", "", "") if w is None else (
        _by(w.kernel), _by(w.stride), "same" if w.same else _by([p for p, _ in w.padding]), _by(w.dilation),
        str(w.groups),
    )  # fmt: skip
    kind = layer.type if w is None else "+".join(w.flags) if w.is_convolution else f"{w.kind} pool"
    return (
        layer.name, kind, *settings, _shape(layer.output) + ("!" if layer.differs else ""), f"{layer.parameters:,}",
        f"{layer.macs / 1e6:.1f}" if layer.macs else "", size, jump,
    )  # fmt: skip


def _field(field: Field | None) -> tuple[str, str]:
    if field is None:
        return "?", "?"
    size = "whole" if None in field.size else _by(field.size) + ("+" if any(field.whole) else "")
    return size, "" if None in field.jump else _by([f"{j:g}" for j in field.jump])


def _by(numbers: Sequence[object]) -> str:
    """One number for a square window, such as 3, else 1x7."""
    same = len(numbers) == 2 and numbers[0] == numbers[1]
    return str(numbers[0]) if same else _shape(numbers)


def _shape(numbers: Sequence[object]) -> str:
    return "x".join(map(str, numbers))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
