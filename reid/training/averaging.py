"""The moving average of the weights."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging


class MovingAverage(EMAWeightAveraging):
    """An exponential moving average of parameters and of the statistics of BatchNorm.

    Buffers that no checkpoint holds are constants, as the mean colour that images are normalised by. Lightning averages
    these too: 0.9 c + 0.1 c is not c to the last bit, so a resumed run, which begins with c again, would differ.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        kept = pl_module.state_dict().keys()
        self._constants = [name for name, _ in pl_module.named_buffers() if name not in kept]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any) -> None:
        super().on_train_batch_end(trainer, pl_module, *step)
        assert self._average_model is not None
        with torch.no_grad():
            for name in self._constants:
                self._average_model.module.get_buffer(name).copy_(pl_module.get_buffer(name))
