"""Any network of timm that gives features: convolutional ones as their last map, transformers as a map of tokens."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import timm
import torch
from torch import Tensor, nn

from reid.errors import UserError, nearest
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill

TOKENS = ("patches", "class")
_NOT_TAKEN = (TypeError, AssertionError, NotImplementedError)  # how families refuse an argument or its value
_ANY_SIZE: tuple[dict[str, Any], ...] = (  # what lets a net take images of any size, as families call it
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"dynamic_img_size": True},
    {"strict_img_size": False},
)


def build(
    name: str,
    *,
    pretrained: str | bool = "auto",
    weights: str | None = None,
    last_stride: int | None = None,
    drop_path: float | None = None,
    patch_stride: int | None = None,
    tokens: str | None = None,
    cameras: Sequence[int] | str | None = None,
    camera_weight: float = 3.0,
    image_size: Sequence[int] | None = None,
) -> Backbone:
    """A timm model up to its last feature map.

    Args:
        name: as ``timm.list_models()`` has it, with or without the tag of its weights ("resnet50.a1_in1k").
        pretrained: ``True`` needs the published weights, ``False`` starts from scratch, ``"auto"`` takes them where
            they can be had and otherwise says loudly that it starts from scratch.
        weights: a .pth or .safetensors file in timm's tensor names to take the weights from instead.
        last_stride: 1 keeps the map at stride 16 by dilating the last stage, in the families where timm can.
        drop_path: how often the deepest residual branch is left out in training, where the family has it.
        patch_stride: of a vision transformer; below the patch size patches overlap (He et al., TransReID, ICCV 2021).
        tokens: of a vision transformer: "patches" (default) gives a map of these, "class" the class token alone, as a
            map of 1 x 1.
        cameras: of a vision transformer: the camids for each of which an embedding is learnt and added to all tokens
            (side information embeddings, He et al. 2021, section 3.3). The network then wants the camera of each image,
            and knows no others. A config may say "auto": the cameras of the training images.
        camera_weight: lambda, what these embeddings are multiplied by. The authors' code has 3.0.
        image_size: (height, width), for families that are made for one size and can be made for another.

    Raises:
        UserError: unknown name, an option that the family lacks, weights that cannot be had or do not fit.
    """
    net = _create(name, last_stride, drop_path, image_size)
    known = _cameras(cameras, net, name)
    body = Body(net, tokens, cameras=len(known), camera_weight=camera_weight)
    if patch_stride is not None:
        _overlap(body.net, name, patch_stride)
    published = body.net.pretrained_cfg
    backbone = Backbone(
        OrderedDict(body=body),
        name=name,
        channels=body.net.num_features,
        mean=tuple(published["mean"]),
        std=tuple(published["std"]),
        inside="body.net",
        cameras=known,
    )
    return fill(
        backbone,
        pretrained,
        weights,
        download=lambda: _published(name),
        source=f"timm {published.get('tag') or 'weights'}",
    )


class Body(nn.Module):
    """Images [B, 3, H, W] -> the model's features as a map [B, C, h, w], whatever their layout."""

    def __init__(self, net: Any, tokens: str | None, *, cameras: int = 0, camera_weight: float = 3.0) -> None:
        super().__init__()
        self.net = net
        for child in _after_features(net):  # nothing would train it, and DistributedDataParallel minds
            child.requires_grad_(False)
        self._camera_weight = camera_weight
        if cameras:
            self.cameras = nn.Parameter(nn.init.trunc_normal_(torch.empty(cameras, 1, net.embed_dim), std=0.02))
        self._prefix = int(getattr(net, "num_prefix_tokens", 0))
        if tokens not in (None, *TOKENS):
            raise UserError(f"backbone.tokens={tokens} is unknown: choose {' or '.join(TOKENS)}")
        if tokens == "class" and not self._prefix:
            raise UserError("backbone.tokens=class is for vision transformers with a class token; this net has none")
        self._class = tokens == "class"

    def forward(self, images: Tensor, cameras: Tensor | None = None) -> Tensor:
        """Images [B, 3, H, W], rows of ``self.cameras`` int64 [B] where it has them -> [B, C, h, w]."""
        hook = self.net.norm_pre.register_forward_pre_hook(self._with(cameras)) if cameras is not None else None
        try:
            features = self.net.forward_features(images)
        except (AssertionError, ValueError, IndexError) as error:
            raise RuntimeError(f"{type(error).__name__}: {error}") from error  # as torch's own layers say it
        finally:
            if hook is not None:
                hook.remove()
        if not isinstance(features, Tensor):
            raise RuntimeError(f"its features are a {type(features).__name__}, not a map")
        if features.ndim == 4:
            return features.movedim(3, 1) if _channels_last(self.net) else features
        if features.ndim != 3:
            raise RuntimeError(f"its features have the shape {list(features.shape)}, which is no map")
        if self._class:
            return features[:, 0, :, None, None]
        patches = features[:, self._prefix :]
        height, width = _grid(images, patches.shape[1], self.net)
        return patches.mT.unflatten(2, (height, width))

    def _with(self, cameras: Tensor) -> Callable[[nn.Module, tuple[Tensor]], Tensor]:
        """What adds the cameras' embeddings to all tokens, after those of their positions."""
        side = self._camera_weight * self.cameras[cameras]  # [B, 1, C]
        return lambda _, tokens: tokens[0] + side


def _after_features(net: Any) -> list[nn.Module]:
    """The parts that only ``forward_head`` names, as ConvNeXt's last norm: there even without a classifier."""
    head, features = (set(method.__code__.co_names) for method in (net.forward_head, net.forward_features))
    return [child for name, child in net.named_children() if name in head - features]


def _cameras(cameras: Sequence[int] | str | None, net: Any, name: str) -> tuple[int, ...]:
    if cameras is None:
        return ()
    if not isinstance(getattr(net, "norm_pre", None), nn.Module):
        raise UserError(f"backbone.cameras is for plain vision transformers; {name} has no such option")
    if isinstance(cameras, str) or not cameras or not all(type(c) is int for c in cameras):
        raise UserError(f"backbone.cameras={cameras} must be a list of camids, as [1,2,3], or in training auto")
    return tuple(sorted(set(cameras)))


def _channels_last(net: Any) -> bool:
    return getattr(net, "output_fmt", "NCHW") == "NHWC"


def _grid(images: Tensor, tokens: int, net: Any) -> tuple[int, int]:
    """Height and width of the map that so many tokens make: that of the patches, or the one shaped as the image."""
    projection = getattr(getattr(net, "patch_embed", None), "proj", None)
    if isinstance(projection, nn.Conv2d):
        strides, kernels = projection.stride, projection.kernel_size
        for rounded in (math.floor, math.ceil):
            height, width = (
                rounded((n - k) / s) + 1 for n, k, s in zip(images.shape[2:], kernels, strides, strict=True)
            )
            if height * width == tokens:
                return height, width
    ratio = images.shape[2] / images.shape[3]
    height = round(math.sqrt(tokens * ratio))
    if height and tokens % height == 0:
        return height, tokens // height
    raise RuntimeError(f"its {tokens} tokens make no map of the image's shape")


def _create(name: str, last_stride: int | None, drop_path: float | None, image_size: Sequence[int] | None) -> Any:
    if not timm.is_model(name):
        hint = nearest(name, timm.list_models())
        raise UserError(
            f"backbone.name={name} is no model of timm {timm.__version__}: {hint}timm.list_models() names all"
        )
    asked: dict[str, Any] = {}
    if last_stride == 1:
        asked["output_stride"] = 16
    elif last_stride not in (None, 2):
        raise UserError(f"backbone.last_stride={last_stride} must be 1 or 2")
    if drop_path is not None:
        asked["drop_path_rate"] = drop_path
    made_for = ({"img_size": tuple(image_size)},) if image_size is not None else ()
    for size in (*_ANY_SIZE, *made_for, {}):
        for pool in ({"global_pool": ""}, {}):
            try:
                return _new(name, {**size, **asked, **pool})
            except _NOT_TAKEN:
                continue
    options = {"output_stride": "last_stride", "drop_path_rate": "drop_path"}
    for key, value in asked.items():
        try:
            _new(name, {key: value})
        except _NOT_TAKEN as error:
            raise UserError(f"backbone.{options[key]} is not for {name}, whose family lacks it") from error
    raise UserError(f"backbone.name={name} cannot be made without its classifier")


def _new(name: str, options: dict[str, Any]) -> Any:
    return timm.create_model(name, False, num_classes=0, **options)


def _overlap(net: Any, name: str, stride: int) -> None:
    projection = getattr(getattr(net, "patch_embed", None), "proj", None)
    if not (isinstance(projection, nn.Conv2d) and getattr(net, "dynamic_img_size", False)):
        raise UserError(f"backbone.patch_stride is for plain vision transformers; {name} has no such option")
    if not 1 <= stride <= projection.kernel_size[0]:
        raise UserError(f"backbone.patch_stride={stride} must be 1 to the patch size, {projection.kernel_size[0]}")
    projection.stride = (stride, stride)


def _published(name: str) -> dict[str, Tensor]:
    """timm's weights, from its cache or the network."""
    try:
        net = timm.create_model(name, pretrained=True, num_classes=0)
    except RuntimeError as error:  # no weights under this name, or a file that came damaged
        raise OSError(str(error)) from error
    return {k: v.detach() for k, v in net.state_dict().items() if isinstance(v, torch.Tensor)}
