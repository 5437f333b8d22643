"""One forward pass of one image, watched: what every layer got, gave, and sees of the image."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from reid.anatomy.convolution import ADAPTIVE_POOLS, CONVOLUTIONS, Window, expected_size, window_of
from reid.anatomy.receptive import FieldTracer, mark, sight_of
from reid.anatomy.sight import Field, as_field, of_image
from reid.errors import UserError

FLOAT32 = 4  # bytes
_LEAVES = (*CONVOLUTIONS, nn.Linear, nn.MultiheadAttention)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One call of a layer. Shapes are those of one image, without the batch.

    Attributes:
        kind: that of the convolution, or "linear", "attention", "other".
        parameters: those not counted with an earlier layer that shares them.
        macs: multiply-accumulate operations of convolutions, linear layers and the projections of attention; 0 for
            everything else. Biases are not counted, products with padding are.
        activations: elements of the output.
        live_bytes: the layer's distinct inputs and outputs in float32; an in-place layer's only tensor counts once.
        window: the settings of a convolution or pooling, else None.
        expected: size of the output map by the formula, None for a layer without one; ``differs`` flags a layer that
            gave another size, such as one that pads by itself.
        field: the theoretical receptive field of one output unit, None where it is not known, then ``why`` says why.
    """

    name: str
    type: str
    kind: str
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: int
    macs: int
    activations: int
    live_bytes: int
    window: Window | None
    expected: Shape | None
    differs: bool
    field: Field | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        window = None if self.window is None else self.window.to_dict()
        seen = None if self.field is None else self.field.to_dict()
        return {**asdict(self), "window": window, "field": seen}


@dataclass(frozen=True)
class Block:
    """A module whose output is a map [C, ...] that still has positions; ``name`` is "" for the network itself."""

    name: str
    type: str
    shape: Shape
    calls: int
    is_layer: bool
    field: Field | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "field": None if self.field is None else self.field.to_dict()}


@contextmanager
def judging(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; afterwards every submodule is in the mode it was in."""
    before = [(m, m.training) for m in module.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    # Fused attention hides its matrix products from whoever counts operations.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for m, mode in before:
            m.training = mode


def plain_attention() -> Any:
    """Attention as two visible matrix products."""
    return sdpa_kernel(SDPBackend.MATH)


def home(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and dtype of the images that the module takes: those of its first floating parameter or buffer."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def watch(module: nn.Module, images: Tensor) -> tuple[tuple[Layer, ...], tuple[Block, ...], set[int], set[int]]:
    """Run ``module`` on ``images`` [1, C, ...] and describe each call of a layer, in the order of the calls.

    A layer is a module without children, a convolution, a linear layer or nn.MultiheadAttention.

    Returns:
        the layers; the modules whose output is a map, in the order in which they last ended; ids of the
        parameters of called layers; ids of all tensors that some operation took.

    Raises:
        UserError: the forward pass fails; names the layer and the size of its input.
    """
    watcher = _Watcher(axes=images.ndim - 2)
    with ExitStack() as stack:
        for name, m in module.named_modules():
            stack.callback(m.register_forward_pre_hook(watcher.before(name), with_kwargs=True).remove)
            stack.callback(m.register_forward_hook(watcher.after(name), with_kwargs=True).remove)
        stack.enter_context(judging(module))
        stack.enter_context(torch.no_grad())
        stack.enter_context(plain_attention())
        images = images.clone()
        mark(images, of_image(images.ndim - 2))
        tracer = stack.enter_context(FieldTracer())
        try:
            module(images)
        except Exception as error:
            raise UserError(watcher.complaint(images, error)) from error
    return tuple(watcher.layers), tuple(watcher.blocks.values()), watcher.owned, tracer.used


class _Watcher:
    """The hooks and what they wrote down."""

    def __init__(self, axes: int) -> None:
        self.axes = axes
        self.layers: list[Layer] = []
        self.blocks: dict[str, Block] = {}
        self.owned: set[int] = set()
        self.open: list[tuple[str, nn.Module, tuple[Shape, ...]]] = []  # modules being run, outermost first

    def before(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            self.open.append((name, module, tuple(tuple(t.shape[1:]) for t in _tensors((args, kwargs)))))

        return hook

    def after(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            _, _, inputs = self.open.pop()
            outputs = _tensors(output)
            if any(_is_leaf(m) for _, m, _ in self.open) or not outputs:
                return  # a part of a layer
            if _is_leaf(module):
                self.layers.append(self._layer(name, module, inputs, _tensors((args, kwargs)), outputs))
            self._note_block(name, module, output)

        return hook

    def _layer(
        self, name: str, module: nn.Module, inputs: tuple[Shape, ...], given: list[Tensor], outputs: list[Tensor]
    ) -> Layer:
        new = {id(p): p.numel() for p in module.parameters() if id(p) not in self.owned}
        self.owned |= new.keys()
        shape = tuple(outputs[0].shape[1:])
        expected = expected_size(module, inputs[0][1:]) if inputs and len(inputs[0]) > 1 else None
        seen, why = as_field(sight_of(outputs[0]), self.axes)
        live = {t.untyped_storage()._cdata: t.numel() for t in (*given, *outputs)}
        return Layer(
            name=name, type=_type(module), kind=_kind(module), inputs=inputs, output=shape,
            parameters=sum(new.values()), macs=_macs(module, inputs, shape),
            activations=sum(prod(t.shape[1:]) for t in outputs),
            live_bytes=FLOAT32 * sum(live.values()), window=window_of(module), expected=expected,
            differs=expected is not None and expected != shape[1:], field=seen, why=why,
        )  # fmt: skip

    def _note_block(self, name: str, module: nn.Module, output: Any) -> None:
        sight = sight_of(output) if isinstance(output, Tensor) else None
        wanted = {2 + i: {i} for i in range(self.axes)}
        if sight is None or sight.why or {d: set(a) for d, a in sight.dims.items()} != wanted:
            return
        if isinstance(module, (*ADAPTIVE_POOLS, nn.Dropout)):  # the classifier's view of the map, not the map
            return
        calls = self.blocks.pop(name).calls + 1 if name in self.blocks else 1
        seen, why = as_field(sight, self.axes)
        shape = tuple(output.shape[1:])
        self.blocks[name] = Block(name, _type(module), shape, calls, _is_leaf(module), seen, why)

    def complaint(self, images: Tensor, error: Exception) -> str:
        size = " x ".join(map(str, images.shape[1:]))
        if not self.open:
            return f"the network failed on an input of {size}: {_line(error)}"
        name, module, inputs = self.open[-1]
        got = ", ".join(" x ".join(map(str, s)) for s in inputs)
        expected = expected_size(module, inputs[0][1:]) if inputs and len(inputs[0]) > 1 else None
        if expected is not None and min(expected) < 1:
            reason = f"an input of {size} is too small for this network"
        else:
            reason = f"this network cannot take an input of {size}"
        return f"{reason}: layer {name or '(the network)'} ({_type(module)}) got {got} and failed: {_line(error)}"


def _macs(module: nn.Module, inputs: tuple[Shape, ...], output: Shape) -> int:
    if isinstance(module, CONVOLUTIONS):
        w = window_of(module)
        assert w is not None
        # Each input unit of a transposed convolution meets the whole kernel once, as does each output unit otherwise.
        met, channels = (inputs[0], module.out_channels) if "transposed" in w.flags else (output, module.in_channels)
        return prod(met) * channels // module.groups * prod(w.kernel)
    if isinstance(module, nn.Linear):
        return prod(output) * module.in_features
    if isinstance(module, nn.MultiheadAttention) and inputs:
        weights = [p for n, p in module.named_parameters() if n.endswith("weight")]
        return prod(output[:-1]) * sum(p.numel() for p in weights)
    return 0


def _kind(module: nn.Module) -> str:
    window = window_of(module)
    if window is not None and window.is_convolution:
        return window.kind
    kinds = {nn.Linear: "linear", nn.MultiheadAttention: "attention"}
    return next((kind for t, kind in kinds.items() if isinstance(module, t)), "other")


def _is_leaf(module: nn.Module) -> bool:
    return isinstance(module, _LEAVES) or next(module.children(), None) is None


def _type(module: nn.Module) -> str:
    return type(module).__name__


def _tensors(value: Any) -> list[Tensor]:
    """The distinct tensors with a batch in nested arguments or results."""
    if isinstance(value, Tensor):
        return [value] if value.ndim else []
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    found = [t for v in nested for t in _tensors(v)]
    return list({id(t): t for t in found}.values())


def _line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
