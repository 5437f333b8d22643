"""Train and judge person re-identification embeddings."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reid.models.embedder import Embedder

__version__ = "0.1.0"


def load(checkpoint: str | Path) -> "Embedder":
    """A trained embedder from a checkpoint file, on the CPU and in evaluation mode.

    It takes images [B, 3, H, W] (RGB, uint8 0..255 or float 0..1, ``embedder.image_size``) and gives embeddings
    float32 [B, D] of length 1. ``reid.models.extract.embed_files`` embeds files of any size.

    Raises:
        UserError: the file is missing, damaged, or not a checkpoint of this framework.
    """
    from reid.models.checkpoint import load_trained  # torch takes two seconds to import

    return load_trained(Path(checkpoint)).embedder
