"""What the convolutions of a network do, layer by layer and in total."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reid.anatomy.convolution import KINDS
from reid.anatomy.effective import Effective, effective, normal_images
from reid.anatomy.latency import Latency, latency
from reid.anatomy.layers import Block, Layer, home, judging, plain_attention, watch
from reid.anatomy.maps import last_map, map_of
from reid.anatomy.memory import kept_for_backward
from reid.anatomy.shift import SHIFTS, Shift, scenes_like_nature, translation
from reid.anatomy.sight import NO_IMAGE
from reid.errors import UserError


@dataclass(frozen=True)
class Share:
    """Totals of the layers of one kind and their parts (0..1) of those of the network.

    ``standard_parameters``: what these layers would have as standard convolutions; for kinds that are none, what they
    have.
    """

    kind: str
    layers: int
    parameters: int
    macs: int
    activations: int
    standard_parameters: int
    of_parameters: float
    of_macs: float
    of_activations: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Everything is for one image.

    Attributes:
        network: its class. size: (C, H, W).
        layers: every call of a layer, in order. blocks: every module whose output is still a map.
        parameters: of the whole network, shared ones once; ``unused_parameters`` are those that no operation took
            (auxiliary heads), ``loose_parameters`` those used outside the call of a layer (a class token, functional
            calls).
        macs: the sum over ``layers``: convolutions, linear layers and projections of attention. ``counted_macs`` is
            half of what PyTorch's FlopCounterMode counts: all convolutions and matrix products, those inside attention
            and of functional calls included.
        activations: elements of all layers' outputs.
        inference_bytes: float32 bytes of the layer whose distinct inputs and outputs take most; what other branches
            hold meanwhile is not counted, so it is the least that inference needs beside the weights.
        training_bytes: float32 bytes that autograd keeps for the backward pass, weights aside (evaluation mode, so
            without masks of dropout); None where no part can be trained.
        last_map: the last map before its positions are pooled away, with its field.
        effective, shifts, latency: what was measured; None or empty if not asked for or not possible.
        notes: what could not be told, and why.
    """

    network: str
    size: tuple[int, ...]
    device: str
    seed: int
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]
    shares: tuple[Share, ...]
    parameters: int
    unused_parameters: int
    loose_parameters: int
    macs: int
    counted_macs: int
    activations: int
    inference_bytes: int
    training_bytes: int | None
    last_map: Block | None
    effective: Effective | None
    shifts: tuple[Shift, ...]
    latency: tuple[Latency, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, ready for JSON."""
        return _plain(vars(self))


def analyse(
    module: nn.Module,
    size: Sequence[int],
    *,
    last: str | None = None,
    embed: Callable[[Tensor], Tensor] | None = None,
    scenes: Tensor | None = None,
    effective_inputs: int = 8,
    shifts: Sequence[int] = SHIFTS,
    batches: Sequence[int] = (1, 32),
    repeats: int = 10,
    seed: int = 0,
) -> Anatomy:
    """Take any network apart. It runs in evaluation mode on its own device and is left as it was.

    Args:
        module: takes images [B, C, H, W] (or [B, C, L]). On the meta device nothing is computed, so a network without
            memory for its weights gives its counts and fields, and nothing is measured.
        size: (C, H, W) of one image.
        last: name of the module whose output is the last feature map; by default it is found.
        embed: images [B, C, H, W] to embeddings [B, D]; by default the last map's mean over its positions.
        scenes: images [N, C, H, at least W + the largest shift] to move across, normalised as the network wants them;
            by default two random ones with the spectrum of natural images.
        effective_inputs: random images behind the effective receptive field; 0 leaves it out.
        shifts: pixels; none leaves the translations out.
        batches: sizes to time, each ``repeats`` times; none leaves the timing out.
        seed: of all that is random.

    Raises:
        UserError: the network cannot take such an image (named are the layer and what it got), or an option is wrong.

    >>> analyse(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)), (3, 32, 32), batches=()).last_map.field.size
    (5, 5)
    """
    shape = _checked(size, effective_inputs, shifts, batches, repeats, scenes)
    device, dtype = home(module)
    image = normal_images(1, shape, seed).to(device, dtype)
    layers, blocks, owned, used = watch(module, image)
    block = last_map(blocks, last)
    unknown = [f"no receptive field from {x.name} on: {x.why}" for x in layers if x.why and x.why != NO_IMAGE][:1]
    with judging(module):
        trained = any(p.requires_grad for p in module.parameters())
        measured: dict[str, Any] = {
            "counted_macs": _counted(module, image),
            "training_bytes": kept_for_backward(module, image) if trained else None,
        }
        measured |= {"effective": None, "shifts": (), "latency": (), "notes": tuple(unknown)}
        if device.type == "meta":
            measured["notes"] += ("nothing is measured: the network is on the meta device",)
        else:
            if block is None:
                measured["notes"] += ("no effective field and no translation: the network has no feature map",)
            else:
                maps = map_of(module, block)
                if effective_inputs:
                    measured["effective"] = effective(
                        maps, shape, block.field, inputs=effective_inputs, seed=seed, device=device, dtype=dtype
                    )
                if shifts:
                    if scenes is None:
                        scenes = scenes_like_nature(2, (*shape[:-1], shape[-1] + max(shifts)), seed)
                    jump = None if block.field is None else block.field.jump[-1]
                    views = scenes.to(device, dtype)
                    measured["shifts"] = translation(maps, embed, views, shape[-1], tuple(shifts), jump)
            measured["latency"] = tuple(
                latency(module, shape, b, repeats=repeats, device=device, dtype=dtype) for b in batches
            )
    total = {id(p): p.numel() for p in module.parameters()}
    return Anatomy(
        network=type(module).__name__, size=shape, device=str(device), seed=seed, layers=layers, blocks=blocks,
        shares=_shares(layers, sum(total.values())), parameters=sum(total.values()),
        unused_parameters=sum(n for i, n in total.items() if i not in used),
        loose_parameters=sum(n for i, n in total.items() if i in used and i not in owned),
        macs=sum(x.macs for x in layers), activations=sum(x.activations for x in layers),
        inference_bytes=max((x.live_bytes for x in layers), default=0), last_map=block, **measured,
    )  # fmt: skip


def _counted(module: nn.Module, image: Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), plain_attention(), counter:
        module(image)
    return counter.get_total_flops() // 2


def _shares(layers: tuple[Layer, ...], parameters: int) -> tuple[Share, ...]:
    """One for each kind that occurs; "other" also has the parameters of no called layer."""
    macs, activations = sum(x.macs for x in layers), sum(x.activations for x in layers)
    extra = parameters - sum(x.parameters for x in layers)
    out = []
    for kind in (*KINDS, "linear", "attention", "other"):
        own = [x for x in layers if x.kind == kind]
        held = sum(x.parameters for x in own) + (extra if kind == "other" else 0)
        if not own and not held:
            continue
        m, a = sum(x.macs for x in own), sum(x.activations for x in own)
        # A layer called again, or one that shares its weights, would not have them anew.
        standard = sum(x.window.standard_parameters for x in own if x.window is not None and x.parameters)
        out.append(Share(
            kind, len(own), held, m, a, standard if kind in KINDS else held,
            held / max(parameters, 1), m / max(macs, 1), a / max(activations, 1),
        ))  # fmt: skip
    return tuple(out)


def _checked(
    size: Sequence[int], inputs: int, shifts: Sequence[int], batches: Sequence[int], repeats: int, scenes: Tensor | None
) -> tuple[int, ...]:
    shape = tuple(int(n) for n in size)
    if len(shape) < 2 or min(shape) < 1:
        raise UserError(f"size={tuple(size)} is no image: give (channels, height, width), all at least 1")
    if inputs < 0:
        raise UserError(f"effective_inputs={inputs} must be at least 0")
    if any(s < 1 for s in shifts):
        raise UserError(f"shifts={tuple(shifts)} must all be at least 1 pixel")
    if any(b < 1 for b in batches) or repeats < 1:
        raise UserError(f"batches={tuple(batches)} and repeats={repeats} must be at least 1")
    if scenes is not None and shifts:
        needed = (*shape[:-1], shape[-1] + max(shifts))
        if scenes.ndim != len(shape) + 1 or scenes.shape[1:-1] != shape[:-1] or scenes.shape[-1] < needed[-1]:
            raise UserError(f"scenes has shape {tuple(scenes.shape)}: give [N, {', '.join(map(str, needed))} or more]")
    return shape


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if isinstance(value, Share):
        return dict(vars(value))
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
