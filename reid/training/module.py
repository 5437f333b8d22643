"""One training step, and the features of the held-out identities."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from reid import processes
from reid.errors import UserError
from reid.losses.objective import Objective
from reid.models.backbones.backbone import learning_rates
from reid.models.embedder import Embedder
from reid.processes import Shares
from reid.training.checkpoints import NotFiniteError
from reid.training.chunks import classify_in_chunks
from reid.training.compiling import compiled
from reid.training.fsdp import Sharded

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
Batch = tuple[Tensor, Tensor, Tensor]  # images uint8 [B, 3, H, W], labels or indices int64 [B], camids int64 [B]
Mix = Callable[[Tensor, Tensor, int, torch.Generator], tuple[Tensor, Tensor]]
Score = Callable[[np.ndarray], Mapping[str, float]]


class ReIDModule(pl.LightningModule):
    """An Embedder in training.

    On several processes each embeds its share of the batch, and the losses are those of the whole: what is mined, the
    loss that is told and the gradient are as on one process. So are the augmented images, since each process draws for
    the whole batch. Random numbers inside the network, as of dropout, are each process's own, and so are the mean and
    variance of BatchNorm unless ``trainer.sync_batchnorm`` takes them over all.

    Args:
        embedder: the network.
        objective: (feature, logits, labels, logits of auxiliary classifiers) -> (loss, terms).
        optimizer: parameters -> optimiser.
        layer_decay: see ``learning_rates``; 1 trains all layers at one rate.
        schedule: share of the run done, 0..1 -> factor on the learning rate.
        augment: (uint8 images [B, 3, H, W], generator) -> images, or None.
        mix: (augmented images, labels int64 [B], number of classes C, generator) -> images, targets float32 [B, C], or
            None.
        score: features float32 [N, D] of the validation images -> metrics by name; None without validation.
        seed: start of the random streams. Each step begins streams of its own, so that a resumed run draws the same
            numbers as one that was never stopped.
        spec: plain values that rebuild the embedder; written into every checkpoint.
        channels_last: memory format of the images.
        chunk: images whose activations are kept at a time, see ``classify_in_chunks``; None keeps those of all.
        compile: whether ``torch.compile`` makes the forward and backward pass.

    Raises:
        UserError: ``mix`` and an objective that it does not suit, or ``chunk`` and auxiliary classifiers.
    """

    def __init__(
        self,
        embedder: Embedder,
        objective: Objective,
        *,
        optimizer: Callable[..., Optimizer],
        schedule: Callable[[float], float],
        layer_decay: float = 1.0,
        augment: Augmentation | None = None,
        mix: Mix | None = None,
        score: Score | None = None,
        seed: int = 0,
        spec: Mapping[str, Any] | None = None,
        channels_last: bool = True,
        chunk: int | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        check_mix(mix, objective)
        check_chunk(chunk, embedder)
        if "logits" not in objective.input.values():  # nothing would train them, and DistributedDataParallel minds
            embedder.bnneck.requires_grad_(False)
            embedder.classifier.requires_grad_(False)
            embedder.sides.requires_grad_(False)
        self.embedder, self.objective = embedder, objective
        self._optimizer, self._schedule, self._score = optimizer, schedule, score
        self._augment, self._mix = augment, mix
        self._layer_decay = layer_decay
        self._seed, self._spec = seed, dict(spec or {})
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._found: list[tuple[Tensor, Tensor]] = []
        self._chunk, self._compile = chunk, compile
        self.rate = 1.0  # on the learning rate, below 1 after a rollback; set before training starts

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        images, labels, camids = batch
        shares = Shares.of(images)
        images, labels = self._drawn(images, labels, shares, batch_idx)
        feature, logits, side = self._classify(images.contiguous(memory_format=self._format), camids)
        feature, logits, *side = shares.join_all([feature, logits, *side])
        loss, terms = self.objective(feature, logits, labels, side)
        if not torch.isfinite(loss):
            raise NotFiniteError(
                f"the loss is {loss.item()} at epoch {self.current_epoch + 1}, batch {batch_idx + 1} "
                f"(step {self.global_step + 1})",
                "start again with a lower optimizer.lr, with trainer.precision=32 or with trainer.on_nan=rollback",
            )
        told = {name: value.detach() for name, value in {"loss": loss, **terms}.items()}
        return {"loss": loss * self._weight(batch_idx), "told": told, "images": sum(shares.sizes)}

    def _drawn(self, images: Tensor, labels: Tensor, shares: Shares, batch_idx: int) -> tuple[Tensor, Tensor]:
        """This process's images and the labels of the whole batch, after augmentation and mix of the whole batch."""
        labels = shares.join(labels)
        if self._augment is None and self._mix is None:
            return images, labels
        images = shares.join(images)
        if self._augment is not None:
            images = self._augment(images, self._generator(2, batch_idx))
        if self._mix is not None:
            images, labels = self._mix(
                images, labels, self.embedder.classifier.out_features, self._generator(3, batch_idx)
            )
        return shares.own(images), labels

    def _weight(self, batch_idx: int) -> float:
        """Lightning divides each loss by the number of batches in a step, of which the last of an epoch may have
        fewer: what makes its mean right."""
        every = self.trainer.accumulate_grad_batches
        left = int(self.trainer.num_training_batches) - (batch_idx - batch_idx % every)
        return every / min(every, left)

    def configure_model(self) -> None:
        if isinstance(self.trainer.strategy, Sharded):
            self.trainer.strategy.shard(self.embedder)
        self._classify: Callable[..., Any] = self.embedder.classify
        if self._chunk is not None:
            self._classify = partial(classify_in_chunks, self.embedder, size=self._chunk)
        elif self._compile:
            self._classify = compiled(self.embedder)

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer([p for p in self.parameters() if p.requires_grad])
        if self._layer_decay != 1:
            optimizer = self._optimizer(self._groups(float(optimizer.defaults["lr"])))
        total = max(1, int(self.trainer.estimated_stepping_batches))
        scheduler = LambdaLR(optimizer, lambda step: self.rate * self._schedule(min(step / total, 1.0)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _groups(self, rate: float) -> list[dict[str, Any]]:
        """Parameters by the learning rate of their layer."""
        factors = {f"backbone.{k}": v for k, v in learning_rates(self.embedder.backbone, self._layer_decay).items()}
        groups: dict[float, list[Tensor]] = {}
        named = [(n.removeprefix("embedder."), p) for n, p in self.named_parameters() if p.requires_grad]
        for name, parameter in named:
            groups.setdefault(factors.get(name, 1.0), []).append(parameter)
        return [{"params": group, "lr": rate * factor} for factor, group in groups.items()]

    def on_train_start(self) -> None:
        scheduler: Any = self.lr_schedulers()  # a resumed run may have a new length; the stored rate is of the old one
        for group, rate in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
            group["lr"] = rate * scheduler.lr_lambdas[0](scheduler.last_epoch)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # each step: a loader takes numbers of its own in between
        torch.manual_seed(self._derive(1, batch_idx, self.global_rank))

    def on_validation_epoch_start(self) -> None:
        for buffer in self.embedder.buffers():  # statistics of BatchNorm are each process's own; the first's are saved
            processes.as_first(buffer)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._found.append((batch[1].cpu(), self._features(batch)))

    def on_validation_epoch_end(self) -> None:
        found, self._found = self._found, []
        parts = [pair for part in processes.to_first(found) for pair in part]  # of all images, by their index
        if (score := self._score) is not None and not self.trainer.sanity_checking:
            metrics = processes.from_first(lambda: {f"val_{k}": float(v) for k, v in score(in_order(parts)).items()})
            self.log_dict(metrics, logger=False)  # which Lightning would log at the step before the last
            for logger in self.trainer.loggers:
                logger.log_metrics(metrics, step=self.global_step)

    @torch.no_grad()
    def embed(self, batches: Iterable[Batch]) -> np.ndarray:
        """Features float32 [N, D] of length 1 in the midst of training, as evaluation would compute them now.

        The training goes on as if this had not been. Every process gets those of the first: the running statistics of
        batch normalisation may differ between processes, and a checkpoint holds those of the first.
        """
        before = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            with self.trainer.precision_plugin.forward_context():
                found = [self._features([part.to(self.device) for part in batch]) for batch in batches]
        finally:
            for module, training in before:  # frozen stages are in evaluation mode while others train
                module.training = training
        return self.trainer.strategy.broadcast(torch.cat(found).numpy())

    def _features(self, batch: Sequence[Tensor]) -> Tensor:
        images, _, camids = batch
        return self.embedder(images.contiguous(memory_format=self._format), camids).float().cpu()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["reid"] = self._spec

    def _generator(self, stream: int, batch_idx: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self._derive(stream, batch_idx))

    def _derive(self, stream: int, batch_idx: int, rank: int = 0) -> int:
        words = [self._seed, stream, self.global_step, rank]
        later = batch_idx % self.trainer.accumulate_grad_batches  # a step of several batches
        state = np.random.SeedSequence(words, spawn_key=(later,) if later else ())
        return int(state.generate_state(1, np.uint64)[0] >> 1)


def in_order(parts: Sequence[tuple[Tensor, Tensor]]) -> np.ndarray:
    """(indices int64 [b], features [b, D]) that hold 0..N-1, in any order and some twice -> float32 [N, D]."""
    index, features = (torch.cat(column) for column in zip(*parts, strict=True))
    ordered = features.new_empty(int(index.max()) + 1, features.shape[1])
    ordered[index] = features
    return ordered.numpy()


def check_chunk(chunk: int | None, embedder: Embedder) -> None:
    """UserError where ``chunk`` is given and the network has auxiliary classifiers, which chunks leave out."""
    if chunk is not None and embedder.sides:
        raise UserError("trainer.chunk and backbone.auxiliary do not go together: choose one")


def check_mix(mix: Mix | None, objective: Objective) -> None:
    """UserError where ``mix`` gives each image two identities and a loss on the feature needs one."""
    on_feature = [name for name, given in objective.input.items() if given == "feature"]
    if mix is not None and on_feature:
        raise UserError(
            f"mix gives each image two identities, but objective.terms.{on_feature[0]} compares features of images of "
            "one identity each: choose objective=softmax or mix=none"
        )
