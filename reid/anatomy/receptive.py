"""The theoretical receptive field, followed through every operation of a forward pass.

Nothing is traced symbolically: a dispatch mode watches the operations that really run, whatever Python code runs them,
and hands each result what its arguments see (``Sight``). So branches, skips, concatenations and functional calls
need no special care. An operation without a rule makes what follows unknown, with its name as the reason.

Araujo, Norris and Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from reid.anatomy import sight as sights
from reid.anatomy.axes import UnknownField, adaptive, read, resized, transposed, window
from reid.anatomy.sight import Axes, Sight

_MARK = "_reid_sight"
_SAME = {  # besides those that PyTorch itself tags as pointwise
    "hardswish", "hardsigmoid", "hardtanh", "gelu", "silu", "mish", "elu", "celu", "leaky_relu", "softplus",
    "softshrink", "hardshrink", "threshold", "relu6", "prelu", "_prelu_kernel", "rrelu_with_noise", "rrelu",
    "clone", "_to_copy", "detach", "detach_", "alias", "lift_fresh", "contiguous", "native_dropout", "dropout",
    "bernoulli", "_conj", "channel_shuffle", "native_channel_shuffle", "log_sigmoid_forward",
}  # fmt: skip
_VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias", "_reshape_copy", "flatten", "unflatten"}
_REDUCTIONS = {
    "mean", "sum", "amax", "amin", "max", "min", "prod", "var", "std", "var_mean", "std_mean", "norm", "logsumexp",
    "linalg_vector_norm", "median", "argmax", "any", "all",
}  # fmt: skip
_NEW = {"empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_empty", "new_zeros",
        "new_ones", "new_full", "new_empty_strided"}  # fmt: skip
_INTERPOLATIONS = {"nearest", "nearest_exact", "linear", "bilinear", "bicubic"}


def sight_of(tensor: Tensor) -> Sight | None:
    """What a tensor met under ``FieldTracer`` sees; None where it does not depend on the image."""
    return getattr(tensor, _MARK, None)


def mark(tensor: Tensor, sight: Sight) -> None:
    setattr(tensor, _MARK, sight)


class FieldTracer(TorchDispatchMode):
    """While active, results of operations on marked tensors are marked with what they see.

    ``used`` holds the ids of all tensors that some operation took: of the parameters, those that matter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.used: set[int] = set()
        self._patchwork: dict[int, Any] = {}  # storages of which a part was overwritten, kept so that ids stay theirs

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = list(_tensors([*args, *kwargs.values()]))
        self.used |= {id(t) for t in given}
        for tensor in given:
            if tensor.untyped_storage()._cdata in self._patchwork:
                mark(tensor, Sight(why="a tensor is filled in pieces"))
        marked = [(t, s) for t in given if (s := sight_of(t)) is not None]
        shapes = [tuple(t.shape) for t, _ in marked]
        out = func(*args, **kwargs)
        name = func.overloadpacket.__name__
        if marked and name not in _NEW:
            for result in _tensors([out]):
                before = sight_of(result)
                after = _result(func, _named(func, args, kwargs), [s for _, s in marked], shapes, result)
                mark(result, after)
                if name.endswith("_") and before != after and _is_part(result):
                    storage = result.untyped_storage()
                    self._patchwork[storage._cdata] = storage
        return out


def _is_part(tensor: Tensor) -> bool:
    """Writing into this tensor changes others, whose marks would no longer be true."""
    return tensor._is_view() or tensor.numel() * tensor.element_size() != tensor.untyped_storage().nbytes()


def _result(func: Any, a: dict[str, Any], seen: list[Sight], shapes: list[tuple[int, ...]], out: Tensor) -> Sight:
    if unknown := next((s for s in seen if s.why), None):
        return unknown
    name = func.overloadpacket.__name__
    pure = name[:-1] if name.endswith("_") else name
    try:
        if torch.Tag.pointwise in func.tags or pure in _SAME or pure == "copy" or "batch_norm" in pure:
            result = sights.met(seen, shapes, tuple(out.shape))
            over_batch = "batch_norm" in pure and a.get("training", "legit" in pure and "no_training" not in pure)
            return replace(result, whole=result.whole | result.axes.keys()) if over_batch else result
        return _structural(pure, a, seen, shapes, tuple(out.shape))
    except UnknownField as error:
        return Sight(why=str(error))
    except (LookupError, TypeError, ValueError):  # an unforeseen form of the operation must not stop the analysis
        return Sight(why=f"the rule for {name} does not fit {func}")


def _structural(
    name: str, a: dict[str, Any], seen: list[Sight], shapes: list[tuple[int, ...]], out: tuple[int, ...]
) -> Sight:
    """Every operation that is not element by element."""
    first, shape = seen[0], shapes[0]
    ndim = len(shape)
    if name in ("mm", "addmm", "bmm", "baddbmm"):
        left, right = (a["mat1"], a["mat2"]) if name == "addmm" else _operands(name, a)
        return _product(left, right)
    if len(seen) > 1 and name not in ("cat", "stack") and "scaled_dot_product" not in name:
        raise UnknownField(f"no rule for {name} of several tensors that depend on the image")
    if name == "convolution":
        kernel = tuple(a["weight"].shape[2:])
        if a["transposed"]:
            return _spatial(first, ndim, lambda x, i: transposed(
                x, kernel[i], _at(a["stride"], i), _at(a["padding"], i), _at(a["dilation"], i)))  # fmt: skip
        return _spatial(first, ndim, lambda x, i: window(
            x, kernel[i], _at(a["stride"], i), _at(a["padding"], i), _at(a["dilation"], i)))  # fmt: skip
    if name.startswith(("max_pool", "avg_pool")):
        stride, dilation = a["stride"] or a["kernel_size"], a.get("dilation", 1)
        return _spatial(first, ndim, lambda x, i: window(
            x, _at(a["kernel_size"], i), _at(stride, i), _at(a["padding"], i), _at(dilation, i)))  # fmt: skip
    if "adaptive_" in name:
        sizes = shape[ndim - len(a["output_size"]) :]
        targets = [n if o is None else o for o, n in zip(a["output_size"], sizes, strict=True)]
        pooled = _spatial(first, ndim, lambda x, i: adaptive(x, sizes[i], targets[i]))
        return sights.without(pooled, [ndim - len(sizes) + i for i, o in enumerate(targets) if o == 1])
    if "upsample_" in name and (kind := name.split("upsample_")[1].rstrip("123d")) in _INTERPOLATIONS:
        if a.get("align_corners"):
            raise UnknownField("interpolation with aligned corners has no constant stride")
        return _spatial(first, ndim, lambda x, i: resized(x, shape[2 + i], out[2 + i], kind))
    if name == "pixel_shuffle":
        r = a["upscale_factor"]
        return _spatial(first, ndim, lambda x, i: read(x, lambda u: (u // r,), outputs=r))
    if name == "pixel_unshuffle":
        r = a["downscale_factor"]
        return _spatial(first, ndim, lambda x, i: window(x, r, r))
    if name == "constant_pad_nd" or name.startswith(("reflection_pad", "replication_pad")):
        pads = a["pad"] if "pad" in a else a["padding"]  # last dimension first
        before = {ndim - 1 - k: pads[2 * k] for k in range(len(pads) // 2)}
        return _each(first, lambda axes, d: {i: window(x, 1, 1, before.get(d, 0)) for i, x in axes.items()})
    if name == "slice":
        return _sliced(first, a, shape)
    if name in _VIEWS or name in ("squeeze", "unsqueeze"):
        return _reshaped(name, first, a, shape, out)
    if name == "expand":
        return sights.met(seen, shapes, out)
    if name in ("permute", "transpose", "t"):
        return _moved(name, first, a, ndim)
    if name in ("glu", "flip") and not first.dims.keys() & set(_dims(a.get("dims", a.get("dim")), ndim)):
        return first
    if name in _REDUCTIONS:
        dims = _dims(a.get("dim"), ndim)
        left = sights.without(first, dims)
        return left if len(out) == ndim else _dropped(left, dims)
    if name in ("_softmax", "_log_softmax", "_safe_softmax"):
        return _looks_along(first, [a["dim"] % ndim])
    if name == "native_group_norm":
        return _looks_along(first, range(2, ndim))
    if name == "native_layer_norm":
        return _looks_along(first, range(ndim - len(a["normalized_shape"]), ndim)) if len(out) == ndim else first
    if "scaled_dot_product" in name:
        return _attention(a)
    if name in ("cat", "split", "split_with_sizes", "select", "unbind", "stack", "index_select", "chunk"):
        return _pieces(name, seen, shapes, a, out)
    if not any(s.dims for s in seen):  # no positions are left that it could mix up
        return sights.met(seen, shapes, out)
    raise UnknownField(f"no rule for {name}")


def _spatial(sight: Sight, ndim: int, rule: Any) -> Sight:
    """Apply ``rule(axis, number)`` to the dimensions 2, 3, ... of a map [B, C, ...]."""
    if any(d < 2 or len(axes) > 1 for d, axes in sight.dims.items()):
        raise UnknownField("a window over flattened positions")
    return replace(sight, dims={d: {i: rule(x, d - 2) for i, x in axes.items()} for d, axes in sight.dims.items()})


def _each(sight: Sight, rule: Any) -> Sight:
    return replace(sight, dims={d: rule(axes, d) for d, axes in sight.dims.items()})


def _looks_along(sight: Sight, dims: Any) -> Sight:
    """Statistics over ``dims``: the positions stay, each also sees all the others."""
    return replace(sight, whole=sight.whole | {i for d in dims for i in sight.dims.get(d, {})})


def _dropped(sight: Sight, dims: Sequence[int]) -> Sight:
    return replace(sight, dims={d - sum(g < d for g in dims): a for d, a in sight.dims.items() if d not in dims})


def _moved(name: str, sight: Sight, a: dict[str, Any], ndim: int) -> Sight:
    order = list(range(ndim))
    if name == "permute":
        order = [d % ndim for d in a["dims"]]
    elif ndim > 1:
        i, j = (0, 1) if name == "t" else (a["dim0"] % ndim, a["dim1"] % ndim)
        order[i], order[j] = order[j], order[i]
    return replace(sight, dims={k: sight.dims[d] for k, d in enumerate(order) if d in sight.dims})


def _reshaped(name: str, sight: Sight, a: dict[str, Any], old: tuple[int, ...], new: tuple[int, ...]) -> Sight:
    if name == "unsqueeze":
        at = a["dim"] % len(new)
        return replace(sight, dims={d + (d >= at): axes for d, axes in sight.dims.items()})
    if name == "squeeze":
        gone = [d for d in _dims(a.get("dim"), len(old)) if old[d] == 1]
        return _dropped(sights.without(sight, gone), gone)
    return sights.viewed(sight, old, new)


def _sliced(sight: Sight, a: dict[str, Any], shape: tuple[int, ...]) -> Sight:
    dim, start, step = a["dim"] % len(shape), a["start"] or 0, a["step"]
    start = max(start + shape[dim], 0) if start < 0 else min(start, shape[dim])
    axes = sight.dims.get(dim)
    if axes is None:
        return sight
    if len(axes) > 1:
        return sight  # some of the tokens: each sees what it saw
    return replace(sight, dims={**sight.dims, dim: {i: window(x, 1, step, -start) for i, x in axes.items()}})


def _product(left: Tensor, right: Tensor) -> Sight:
    """left [..., n, k] @ right [..., k, m]: the contracted dimension is seen as a whole."""
    dims: dict[int, list[Axes]] = {}
    whole: frozenset[int] = frozenset()
    for tensor, contracted in ((left, left.ndim - 1), (right, right.ndim - 2)):
        sight = sight_of(tensor) or Sight()
        sight = sights.without(sight, [contracted])
        whole |= sight.whole
        for dim, axes in sight.dims.items():
            dims.setdefault(dim, []).append(axes)
    return Sight({d: sights.joined(axes) for d, axes in dims.items()}, whole)


def _operands(name: str, a: dict[str, Any]) -> tuple[Tensor, Tensor]:
    return (a["batch1"], a["batch2"]) if name == "baddbmm" else (a["self"], a["mat2"])


def _attention(a: dict[str, Any]) -> Sight:
    query = a["query"]
    out = sights.without(sight_of(query) or Sight(), [query.ndim - 1])
    for tensor in (a["key"], a["value"]):
        other = sights.without(sight_of(tensor) or Sight(), range(tensor.ndim))
        out = replace(out, whole=out.whole | other.whole)
    return out


def _pieces(
    name: str, seen: list[Sight], shapes: list[tuple[int, ...]], a: dict[str, Any], out: tuple[int, ...]
) -> Sight:
    ndim = len(shapes[0])
    dim = (a.get("dim") or 0) % (ndim + (name == "stack"))
    if name == "stack":
        return sights.met([_reshaped("unsqueeze", s, a, shapes[0], out) for s in seen], [out] * len(seen), out)
    along = [axes for s in seen if (axes := s.dims.get(dim))]
    if name == "cat" and len(along) > 0 and not all(len(axes) > 1 for axes in along):
        raise UnknownField("maps are concatenated along an axis of the image")
    if name == "cat":
        return sights.met(seen, [(*s[:dim], out[dim], *s[dim + 1 :]) for s in shapes], out)
    if name in ("select", "unbind"):
        return _dropped(seen[0], [dim])
    if along and not all(len(axes) > 1 for axes in along):
        raise UnknownField(f"{name} along an axis of the image")
    return seen[0]


def _dims(dims: Any, ndim: int) -> list[int]:
    if dims is None or dims == []:
        return list(range(ndim))
    return [d % ndim for d in ([dims] if isinstance(dims, int) else dims)]


def _at(value: Any, i: int) -> int:
    """Settings of one number hold for every axis."""
    return value if isinstance(value, int) else value[i if len(value) > 1 else 0]


def _named(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments under the names of the operation's schema, defaults included."""
    out: dict[str, Any] = {}
    for i, argument in enumerate(func._schema.arguments):
        given = args[i] if i < len(args) else kwargs.get(argument.name, argument.default_value)
        out[argument.name] = given
    return out


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
