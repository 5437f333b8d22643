"""Images -> embeddings, for judging and for production."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reid import processes
from reid.data.records import Record
from reid.data.records import camids as camids_of
from reid.data.store import Images, open_images
from reid.errors import UserError
from reid.models.embedder import Embedder

View = Literal["image", "mirror", "both"]


@torch.inference_mode()
def extract(
    embedder: Embedder,
    images: Images,
    *,
    batch_size: int = 128,
    device: str | torch.device = "cpu",
    bf16: bool = False,
    view: View = "image",
    normalise: bool = True,
    together: bool = False,
) -> np.ndarray:
    """Embeddings of all ``images`` as float32 [N, D], each of length 1, in order.

    Args:
        embedder: put in evaluation mode and on ``device``, and left there.
        batch_size: images in a forward pass; the same value gives the same bits again.
        bf16: run the network under bfloat16 autocast; the result is float32 all the same.
        view: what the network sees: the image, its mirror image, or both, whose embeddings are added before they are
            brought to length 1 (flip test-time augmentation).
        normalise: False leaves the lengths as the network makes them.
        together: the processes share the work, all of which must call this. They deal out whole batches, so the bits
            are those of one process. The result is on the first; the others get [0, D].
    """
    device = torch.device(device)
    embedder = embedder.eval().to(device).to(memory_format=torch.channels_last)
    camids = torch.from_numpy(camids_of(images.records)).to(device)
    starts, found = range(0, len(images), batch_size), {}
    for start in starts[processes.rank() :: processes.count()] if together else starts:
        stop = min(start + batch_size, len(images))
        batch = images.load(np.arange(start, stop)).to(device, non_blocking=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            out = _embed(embedder, batch, camids[start:stop], view, normalise)
        found[start] = out.float().cpu().numpy()
    parts = {
        start: rows for part in (processes.to_first(found) if together else [found]) for start, rows in part.items()
    }
    return np.concatenate([np.empty((0, embedder.dim), np.float32), *(parts[start] for start in sorted(parts))])


def _embed(embedder: Embedder, batch: Tensor, camids: Tensor, view: View, normalise: bool) -> Tensor:
    if view == "image" and normalise:
        return embedder(batch, camids)
    out = torch.zeros((), device=batch.device)
    for seen in {"image": [batch], "mirror": [batch.flip(-1)], "both": [batch, batch.flip(-1)]}[view]:
        out = out + embedder.unscaled(seen, camids).float()
    return F.normalize(out) if normalise else out


def embed_files(
    embedder: Embedder,
    paths: Sequence[str | Path],
    *,
    camids: Sequence[int] | None = None,
    batch_size: int = 128,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Embeddings float32 [N, D] of image files of any size.

    Args:
        camids: the camera of each file, for an embedder whose backbone was made with ``cameras``.

    Raises:
        UserError: a file that cannot be read, named; or the cameras are missing.
    """
    if camids is None and embedder.backbone.cameras:
        raise UserError(
            f"{embedder.backbone.name} was made with backbone.cameras: give camids, the camera of each file"
        )
    records = [Record(Path(p), 0, c) for p, c in zip(paths, camids or [0] * len(paths), strict=True)]
    images = open_images(records, embedder.image_size, cache=None)
    return extract(embedder, images, batch_size=batch_size, device=device)
