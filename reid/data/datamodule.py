"""The Lightning DataModule: a split, its images and the batches drawn from them."""

import logging
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from reid.data.records import Split, camids, labels, sources
from reid.data.samplers import Batching, EpochSampler, IdentitySampler, Pictures
from reid.data.store import Cache, Images, open_images
from reid.data.transfer import collate
from reid.errors import UserError

log = logging.getLogger(__name__)

MakeSampler = Callable[[Pictures, Batching], EpochSampler]


class _Batches(Dataset):
    """Whole batches at once: images uint8 [B, 3, H, W], labels or indices int64 [B], camids int64 [B]."""

    def __init__(self, images: Images, targets: np.ndarray) -> None:
        self._images, self._targets = images, torch.from_numpy(targets)
        self._camids = torch.from_numpy(camids(images.records))

    def __len__(self) -> int:
        return len(self._images)

    def __getitems__(self, index: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        return self._images.load(np.asarray(index)), self._targets[index], self._camids[index]


class _Loader(DataLoader):
    """Draws nothing of an epoch before its first batch is asked for.

    Lightning makes the first iterator before it knows the epoch that a resumed run goes on with, and worker processes
    would be sent batches at once: those of epoch 0.
    """

    def __iter__(self) -> Iterator:  # type: ignore[override]
        yield from super().__iter__()


class _TrainLoader(_Loader):
    """Counts the batches of an epoch that it has handed out, and can go on in the midst of one."""

    batch_sampler: EpochSampler
    done = _before = 0  # batches of this epoch, and those of them that an earlier process handed out

    def go_on(self, state: dict[str, Any]) -> None:
        """Begin the next iteration where ``state`` was taken."""
        self._before = state["batches"]
        self.batch_sampler.remember(state["sampler"])

    def __iter__(self) -> Iterator:  # type: ignore[override]
        self.done, self._before = self._before, 0
        self.batch_sampler.skip(self.done)
        for batch in super().__iter__():
            self.done += 1
            yield batch


class ReIDData(pl.LightningDataModule):
    """Batches for training, and the images to judge on.

    Args:
        split: train, query and gallery records.
        validation: query and gallery of held-out training identities, or None.
        image_size: (height, width) in pixels.
        sampler: (what it may know of the training images, the batches asked for) -> sampler.
        identities, images: P and K of the sampler, over all processes.
        eval_batch: images in a batch of feature extraction.
        workers: processes that prepare batches ahead; 0 prepares them in the training process, which the decoded
            store makes fast enough.
        cache: where decoded images are kept: a folder, "memory", or None to decode each time.
        skip_unreadable: leave damaged images out (counted) instead of stopping at the first.
        seed: start of the sampler's random stream.
    """

    def __init__(
        self,
        split: Split,
        *,
        image_size: tuple[int, int],
        validation: Split | None = None,
        sampler: MakeSampler = IdentitySampler,
        identities: int = 16,
        images: int = 4,
        eval_batch: int = 128,
        workers: int = 0,
        cache: Cache = None,
        skip_unreadable: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.split, self.validation, self.image_size = split, validation, image_size
        self.eval_batch, self.workers, self._seed = eval_batch, workers, seed
        self._cache, self._skip = cache, skip_unreadable
        self._opened: dict[str, Images] = {}
        self._resumed: dict[str, Any] = {}
        self.train_images = self.open(split.train, "train")
        records = self.train_images.records
        self.train_labels = labels(records)
        self._p, self._k = identities, images
        self._pictures = Pictures(self.train_labels, camids(records), sources(records), self._embed)
        self._make_sampler = sampler
        self.sampler = self._sampler(0, 1)  # so that bad numbers are told before a run folder is made

    @property
    def num_classes(self) -> int:
        return int(self.train_labels.max()) + 1

    @property
    def batch_images(self) -> int:
        return self._p * self._k

    def open(self, records: tuple, part: str) -> Images:
        """The images of some records, the split's or others; ``part``, unlike for each, names them in messages."""
        images = open_images(records, self.image_size, cache=self._cache, skip_unreadable=self._skip)
        self._opened[part] = images  # in memory as long as these data are, for those who open them again
        if images.unreadable:
            log.warning(
                "%s: %d of %d images cannot be read and are left out (first: %s)",
                part, len(images.unreadable), len(records), images.unreadable[0],
            )  # fmt: skip
        if not len(images):
            raise UserError(f"{records[0].path.parent}: no image of its {part} part can be read")
        return images

    def steps_per_epoch(self) -> int:
        return len(self.sampler)

    def check_processes(self, world_size: int) -> None:
        """UserError where a batch cannot be dealt to so many processes in equal shares."""
        if self._p % world_size:
            near = [n for n in (self._p // world_size * world_size, -(-self._p // world_size) * world_size) if n]
            raise UserError(
                f"data.identities={self._p} identities of a batch cannot be dealt to {world_size} processes in equal "
                f"shares: choose {' or '.join(map(str, near))}, or another number of processes"
            )
        self._sampler(0, world_size)

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        sampler = self._sampler(self.trainer.global_rank, self.trainer.world_size)
        images = _Batches(self.train_images, self.train_labels)
        loader: _TrainLoader = self._loader(images, _TrainLoader, batch_sampler=sampler)
        self._training = ref(loader)  # a loader that is done with ends its workers at once
        if self._resumed:
            loader.go_on(self._resumed)
            self._resumed = {}
        return loader

    def state_dict(self) -> dict[str, Any]:
        """Where in an epoch the training is; nothing between two epochs. Lightning keeps it in the checkpoint.

        It has a place for loaders' own states too, but makes them again before it could restore these.
        """
        assert self.trainer is not None
        loader = self._training()
        if loader is None or loader.done in (0, self.trainer.num_training_batches):
            return {}
        return {"batches": loader.done, "sampler": loader.batch_sampler.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed = state_dict

    def val_dataloader(self) -> DataLoader | list:
        """Query then gallery of the held-out identities in one pass, each image with its index.

        Of several processes each takes as many batches, one of those with fewer left the first again.
        """
        if self.validation is None:
            return []
        self.validation_images = self.open(self.validation.query + self.validation.gallery, "validation")
        index = np.arange(len(self.validation_images))
        batches = [index[at : at + self.eval_batch].tolist() for at in range(0, len(index), self.eval_batch)]
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        dealt = (batches[rank::world_size] + batches[:1])[: -(-len(batches) // world_size)]
        return self._loader(_Batches(self.validation_images, index), batch_sampler=dealt)

    def _loader(self, dataset: _Batches, kind: type[_Loader] = _Loader, **how: object) -> Any:
        height, width = self.image_size
        return kind(
            dataset,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            collate_fn=collate(self.workers, max(self.batch_images, self.eval_batch) * height * width * 3),
            **how,  # type: ignore[arg-type]
        )

    def _sampler(self, rank: int, world_size: int) -> EpochSampler:
        return self._make_sampler(self._pictures, Batching(self._p, self._k, self._seed, rank, world_size))

    def _embed(self, index: np.ndarray) -> np.ndarray:
        """Features float32 [n, D] of some training images by the network in training, as it is now."""
        assert self.trainer is not None
        images = _Batches(self.train_images, self.train_labels)
        parts = (index[start : start + self.eval_batch] for start in range(0, len(index), self.eval_batch))
        module: Any = self.trainer.lightning_module
        return module.embed(images.__getitems__(part.tolist()) for part in parts)
