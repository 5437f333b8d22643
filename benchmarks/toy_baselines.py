"""How far a colour look-up and an untrained network get on the toy data set: they must stay far below a trained one.

usage: python benchmarks/toy_baselines.py [FOLDER]     renders the default set into a temporary folder without FOLDER

Prints mAP and rank-1 under the Market-1501 protocol, for 3-stripe HSV histograms with several numbers of bins (whole
picture, and its middle half, which leaves out most of the background) and for torchvision's resnet18 as initialised.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image

from reid.data.records import Record, Split, camids, pids
from reid.data.toy import read
from reid.evaluation import evaluate

BINS = ((16, 4, 4), (8, 4, 4), (8, 8, 8), (16, 8, 1), (16, 1, 1), (1, 1, 16))


def pictures(records: tuple[Record, ...], mode: str) -> np.ndarray:
    """The pictures as uint8 [N, H, W, 3], in RGB or HSV."""
    return np.stack([np.asarray(Image.open(r.path).convert(mode)) for r in records])


def hsv_histograms(hsv: np.ndarray, bins: tuple[int, int, int], *, stripes: int = 3, middle: bool) -> np.ndarray:
    """Joint HSV histograms [N, stripes * bins] of horizontal stripes, Hellinger normalised: a dot product compares."""
    if middle:
        hsv = hsv[:, :, hsv.shape[2] // 4 : -hsv.shape[2] // 4]
    h, s, v = (hsv[..., i].astype(np.int64) * bins[i] // 256 for i in range(3))
    cells, count = (h * bins[1] + s) * bins[2] + v, int(np.prod(bins))
    parts = []
    for stripe in np.array_split(cells, stripes, axis=1):
        counts = np.stack([np.bincount(one.ravel(), minlength=count) for one in stripe])
        parts.append(np.sqrt(counts / counts.sum(1, keepdims=True)))
    return np.concatenate(parts, axis=1).astype(np.float32)


def untrained_features(rgb: np.ndarray) -> np.ndarray:
    """Pooled features [N, 512] of a randomly initialised resnet18 (seed 0)."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18()
    net.fc = torch.nn.Identity()
    net.eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    images = torch.from_numpy(rgb).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return torch.cat([net((chunk.float() / 255 - mean) / std) for chunk in images.split(64)]).numpy()


def report(name: str, query: np.ndarray, gallery: np.ndarray, split: Split) -> None:
    result = evaluate(
        query,
        gallery,
        query_pids=pids(split.query),
        gallery_pids=pids(split.gallery),
        query_camids=camids(split.query),
        gallery_camids=camids(split.gallery),
    )
    print(f"{name:40s} mAP {100 * result.mAP:5.1f} %   rank-1 {100 * result.cmc[0]:5.1f} %")


def main(root: Path) -> None:
    split = read(root)
    query, gallery = pictures(split.query, "HSV"), pictures(split.gallery, "HSV")
    for bins in BINS:
        for middle in (False, True):
            name = f"HSV {'x'.join(map(str, bins))} bins, {'middle half' if middle else 'whole picture'}"
            q, g = (hsv_histograms(part, bins, middle=middle) for part in (query, gallery))
            report(name, q, g, split)
    q, g = (untrained_features(pictures(part, "RGB")) for part in (split.query, split.gallery))
    report("untrained resnet18", q, g, split)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder) / "toy")
