"""The two-column AlexNet of 2012 and its successor ZFNet. torchvision's ``alexnet`` is the one-column net of 2014."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reid.data.pixels import IMAGENET_MEAN
from reid.errors import unknown
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.filling import fill_from_file

_RAW = (1 / 255, 1 / 255, 1 / 255)  # dividing by it turns pixels in 0..1 back into 0..255


class ResponseNorm(nn.Module):
    """Local response normalisation across neighbouring channels (Krizhevsky et al. 2012, section 3.3).

    b_i = a_i / (k + alpha * sum of a_j^2 over the n channels j around i)^beta, on maps [B, C, h, w]. Channels beyond
    the first and the last count as 0. The result is float32 at least: squares of raw activations overflow float16.
    """

    def __init__(self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, maps: Tensor) -> Tensor:
        # PyTorch and Caffe take the mean of the squares where the paper takes their sum; n * alpha undoes that.
        wide = maps.to(torch.promote_types(maps.dtype, torch.float32))
        return F.local_response_norm(wide, self.n, self.n * self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}"


def build(name: str, *, weights: str | None = None) -> Backbone:
    """AlexNet or ZFNet up to the pooling after their fifth convolution, 256 channels.

    Args:
        name: ``alexnet_grouped`` (Krizhevsky, Sutskever and Hinton, NeurIPS 2012) or ``zfnet`` (Zeiler and Fergus,
            ECCV 2014, figure 3).
        weights: a .pth or .safetensors file to take the weights from. Without it they start as in the paper.

    Both see pixels in 0..255 less the mean, which is what the constants of their normalisation are made for.

    Raises:
        UserError: unknown name, a file that cannot be read or does not fit.
    """
    nets = {"alexnet_grouped": _alexnet_grouped, "zfnet": _zfnet}
    if name not in nets:
        raise unknown("backbone.name", name, nets)
    return fill_from_file(Backbone(nets[name](), name=name, channels=256, mean=IMAGENET_MEAN, std=_RAW), weights)


def _alexnet_grouped() -> "OrderedDict[str, nn.Module]":
    """227x227 images -> maps of 55, 27, 13 and 6 (the paper says 224, which does not give its 55).

    The two groups are the paper's two GPUs, which meet in conv3 only. As in section 3.5, rectified responses are
    normalised first and pooled then; ZFNet does it the other way round.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 96, 11, stride=4),
        relu1=nn.ReLU(inplace=True),
        norm1=ResponseNorm(),
        pool1=_pool(),
        conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
        relu2=nn.ReLU(inplace=True),
        norm2=ResponseNorm(),
        pool2=_pool(),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(inplace=True),
        conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
        relu4=nn.ReLU(inplace=True),
        conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
        relu5=nn.ReLU(inplace=True),
        pool5=_pool(),
    )
    # Section 5: ones give the rectifiers of these layers positive inputs to start from.
    return _initialised(stages, biased=("conv2", "conv4", "conv5"))


def _zfnet() -> "OrderedDict[str, nn.Module]":
    """224x224 images -> maps of 110, 55, 26, 13 and 6, the sizes of the paper's figure 3.

    The paper leaves the borders open. One pixel of padding gives conv1 its 110 and none gives conv2 its 26; windows of
    the poolings that reach over the edge give 55 and 13. Contrast normalisation across feature maps is Krizhevsky's.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 96, 7, stride=2, padding=1),
        relu1=nn.ReLU(inplace=True),
        pool1=_pool(),
        norm1=ResponseNorm(),
        conv2=nn.Conv2d(96, 256, 5, stride=2),
        relu2=nn.ReLU(inplace=True),
        pool2=_pool(),
        norm2=ResponseNorm(),
        conv3=nn.Conv2d(256, 384, 3, padding=1),
        relu3=nn.ReLU(inplace=True),
        conv4=nn.Conv2d(384, 384, 3, padding=1),
        relu4=nn.ReLU(inplace=True),
        conv5=nn.Conv2d(384, 256, 3, padding=1),
        relu5=nn.ReLU(inplace=True),
        pool5=_pool(),
    )
    return _initialised(stages)


def _pool() -> nn.MaxPool2d:
    """Overlapping windows. The last may reach over the edge, as in Caffe, so that narrow images keep a map."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def _initialised(stages: "OrderedDict[str, nn.Module]", biased: tuple[str, ...] = ()) -> "OrderedDict[str, nn.Module]":
    """Both papers: weights of deviation 0.01, biases 0, and 1 in the layers ``biased``."""
    for name, module in stages.items():
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.normal_(module.weight, std=0.01)
            nn.init.constant_(module.bias, 1.0 if name in biased else 0.0)
    return stages
