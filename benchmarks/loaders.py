"""One folder of pictures as four loaders make training batches of it: ours, a plain one, torchreid's, fast-reid's.

Each is a function (root of the pictures, folder to work in) -> batches without end: normalised images float32
[B, 3, H, W] in the process that trains, and the labels of P identities with K images each. What follows the loader in
each framework before the first layer (augmentation here, normalisation here and in fast-reid) is part of it; the bytes
that it has here before that are a side of their own.

The two frameworks' own code is driven from checkouts outside of this project, and nothing in them is changed; what they
import for other work and is not installed here is an empty module while they are imported.
"""

import collections
import contextlib
import importlib.util
import io
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from reid.data.augment import FILL, Augment
from reid.data.datamodule import ReIDData
from reid.data.pixels import IMAGENET_MEAN, IMAGENET_STD, normalise
from reid.data.readers.market1501 import read
from reid.data.records import Record, camids, labels
from reid.data.samplers.identity import IdentitySampler
from reid.data.samplers.shared import Batching, Pictures

SIZE, P, K, PADDING = (256, 128), 16, 4, 10
MEAN, STD = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
Batches = Iterator[tuple[Tensor, Tensor]]
Loader = Callable[[Path, Path], Batches]


def pictures_of(records: Sequence[Record]) -> Pictures:
    """What a sampler that asks for no features is told."""
    identities = labels(records)
    return Pictures(identities, camids(records), np.zeros_like(identities), embed=lambda index: index)


def recipe() -> Augment:
    return Augment(flip=0.5, shift=1.0, padding=PADDING, zoom=None, erase=0.5)


def ours(root: Path, folder: Path) -> Batches:
    """The same as the others' batches, by what the network does first in addition."""
    for images, targets in ours_bytes(root, folder):
        yield normalise(images, MEAN, STD), targets


def ours_bytes(root: Path, folder: Path) -> Batches:
    """The decoded store in ``folder``, augmented in this process: bytes, as the network takes them."""
    data = ReIDData(read(root, name="benchmark"), image_size=SIZE, identities=P, images=K, cache=folder / "cache")
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]
    loader, augment, step = data.train_dataloader(), recipe(), itertools.count()
    for epoch in itertools.count():
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        for images, targets, _ in loader:
            yield augment(images, torch.Generator().manual_seed(next(step))), targets


class Files(Dataset):
    """Pictures opened, decoded and transformed one by one."""

    def __init__(self, records: tuple[Record, ...], transform: Callable[[Image.Image], Tensor]) -> None:
        self.paths, self.targets = [str(r.path) for r in records], labels(records).tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), self.targets[index]


class EpochAfterEpoch(IdentitySampler):
    """So that workers need no new start."""

    def __iter__(self) -> Iterator[list[int]]:
        for epoch in itertools.count():
            self.set_epoch(epoch)
            yield from super().__iter__()


def plain(workers: int) -> Loader:
    """What a few lines of torchvision give."""
    transform = v2.Compose([
        v2.ToImage(),  # faster than staying with PIL
        v2.Resize(SIZE),
        v2.RandomHorizontalFlip(),
        v2.Pad(PADDING, fill=FILL),
        v2.RandomCrop(SIZE),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        v2.RandomErasing(0.5, scale=(0.02, 0.4), value=0),
    ])  # fmt: skip

    def start(root: Path, folder: Path) -> Batches:
        records = read(root, name="benchmark").train
        sampler = EpochAfterEpoch(pictures_of(records), Batching(P, K))
        yield from DataLoader(Files(records, transform), batch_sampler=sampler, num_workers=workers)

    return start


def torchreid(workers: int, checkout: Path) -> Loader:
    """torchreid's data manager with its random crop (enlarged by 1.125, half the time); an epoch is a new start."""
    with _imported(checkout, "gdown", "scipy", "scipy.io"):
        _package("torchreid", checkout)  # its own front page imports every part of it
        _package("torchreid.utils", checkout, "torchreid.utils.tools")
        from torchreid.data import ImageDataManager

    def start(root: Path, folder: Path) -> Batches:
        _lay_out(root, folder)
        with contextlib.redirect_stdout(io.StringIO()):
            loader = ImageDataManager(
                root=str(folder),
                sources="market1501",
                height=SIZE[0],
                width=SIZE[1],
                transforms=["random_flip", "random_crop", "random_erase"],
                use_gpu=torch.cuda.is_available(),
                batch_size_train=P * K,
                workers=workers,
                num_instances=K,
                train_sampler="RandomIdentitySampler",
            ).train_loader
        while True:
            for batch in loader:
                yield batch["img"], batch["pid"]

    return start


def fastreid(workers: int, checkout: Path) -> Loader:
    """fast-reid's training loader with the settings of its Base-bagtricks.yml, its model's normalisation after it.

    Without a GPU PyTorch's DataLoader stands in for its subclass, which copies batches to the GPU ahead of their use.
    """
    with _imported(checkout, "yacs", "yacs.config", "tabulate", "termcolor"):
        from fastreid.data import build
        from fastreid.data.common import CommDataset
        from fastreid.data.datasets import Market1501
        from fastreid.data.samplers import NaiveIdentitySampler
        from fastreid.data.transforms import build_transforms
    if not torch.cuda.is_available():
        build.DataLoaderX = lambda rank, **options: DataLoader(**{**options, "pin_memory": False})
    off = SimpleNamespace(ENABLED=False, SIZE=None, SCALE=None, RATIO=None, PROB=None)
    jitter = SimpleNamespace(ENABLED=False, PROB=0, BRIGHTNESS=0, CONTRAST=0, SATURATION=0, HUE=0)
    settings = SimpleNamespace(
        SIZE_TRAIN=list(SIZE),
        CROP=off, AUGMIX=off, AUTOAUG=off, AFFINE=off, RPT=off, CJ=jitter,
        FLIP=SimpleNamespace(ENABLED=True, PROB=0.5),
        PADDING=SimpleNamespace(ENABLED=True, SIZE=PADDING, MODE="constant"),
        REA=SimpleNamespace(ENABLED=True, PROB=0.5, VALUE=[255 * m for m in IMAGENET_MEAN]),
    )  # fmt: skip
    transform = build_transforms(SimpleNamespace(INPUT=settings), is_train=True)

    def start(root: Path, folder: Path) -> Batches:
        _lay_out(root, folder)
        files = CommDataset(Market1501(root=str(folder / "market1501")).train, transform, relabel=True)
        sampler = NaiveIdentitySampler(files.img_items, P * K, K)
        loader = build.build_reid_train_loader(files, sampler=sampler, total_batch_size=P * K, num_workers=workers)
        for batch in loader:
            images = batch["images"]
            yield images.sub_(255 * MEAN.to(images.device)).div_(255 * STD.to(images.device)), batch["targets"]

    return start


def _lay_out(root: Path, folder: Path) -> None:
    """``root`` where both frameworks look for Market-1501."""
    place = folder / "market1501" / "Market-1501-v15.09.15"
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.symlink_to(root.resolve(), target_is_directory=True)


class _Empty(ModuleType):
    """Any name in it is a class, for there are imported names that are inherited from."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (dict,), {})


@contextlib.contextmanager
def _imported(checkout: Path, *others: str) -> Iterator[None]:
    """A checkout on the path, empty modules where ``others`` are not installed, and what Python 3.10 took away."""
    absent = [name for name in others if importlib.util.find_spec(name.partition(".")[0]) is None]
    sys.modules.update({name: _Empty(name) for name in absent})
    sys.path.insert(0, str(checkout))
    collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del collections.Mapping  # type: ignore[attr-defined]
        sys.path.remove(str(checkout))
        for name in absent:
            del sys.modules[name]


def _package(name: str, checkout: Path, contents: str | None = None) -> None:
    """A package of the checkout without its ``__init__``; ``contents`` is the module whose names it offers."""
    package = ModuleType(name)
    package.__path__ = [str(checkout.joinpath(*name.split(".")))]
    sys.modules[name] = package
    if contents:
        vars(package).update({k: v for k, v in vars(importlib.import_module(contents)).items() if k[0] != "_"})
