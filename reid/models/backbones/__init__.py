"""Networks that turn normalised images [B, 3, H, W] into a feature map [B, C, h, w]."""

from reid.models.backbones.backbone import Backbone

__all__ = ["Backbone"]
