"""Back to the last good checkpoint with a smaller learning rate, where a loss is not finite or leaps."""

from collections import deque
from statistics import median
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from reid.training.checkpoints import NotFiniteError

_WINDOW = 50  # losses whose median a leap is measured by


class Rollback(Callback):
    """Counts the rollbacks of a run and holds its learning rate down after each.

    The batches after a rollback are those that led to it: the rate alone is another, so a run that is killed and
    resumed rolls back at the same steps. Count, rate and the losses looked back on are in the checkpoints.

    Args:
        factor: on the learning rate, at each rollback.
        tries: rollbacks in a run.
        spike: a loss above so many times the median of the 50 before it is treated like one that is not finite; None
            for none.

    Raises:
        NotFiniteError: a loss that leaps.
    """

    def __init__(self, *, factor: float = 0.5, tries: int = 3, spike: float | None = None) -> None:
        self.factor, self.tries, self.spike = factor, tries, spike
        self.done, self.rate = 0, 1.0
        self._losses: deque[float] = deque(maxlen=_WINDOW)

    def again(self) -> bool:
        """Lower the rate for another try; False if there have been enough."""
        if self.done >= self.tries:
            return False
        self.done, self.rate = self.done + 1, self.rate * self.factor
        self._losses.clear()  # unless those of the checkpoint are read
        return True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.rate = self.rate  # type: ignore[assignment]

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.spike is None:
            return
        loss = float(outputs["told"]["loss"])
        if len(self._losses) == _WINDOW and loss > self.spike * (usual := median(self._losses)):
            raise NotFiniteError(
                f"the loss leaps to {loss:.4g} at step {trainer.global_step}, above {self.spike:g} times its usual "
                f"{usual:.4g}",
                "start again with a lower optimizer.lr or a higher trainer.spike",
            )
        self._losses.append(loss)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "rate": self.rate, "losses": list(self._losses)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["done"] > self.done:  # else a rollback goes on from a checkpoint before it
            self.done, self.rate = state_dict["done"], state_dict["rate"]
        self._losses = deque(state_dict["losses"], maxlen=_WINDOW)
