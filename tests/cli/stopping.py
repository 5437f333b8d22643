"""An augmentation of a user's own, which stops its process in the middle of an epoch."""

import os

import torch
from torch import Tensor

from reid.data.augment import Augment


class Stopping(Augment):
    """Sends its process the signal STOP_SIGNAL at batch STOP_AT (from 1); without them it only augments."""

    batches = 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        self.batches += 1
        if self.batches == int(os.environ.get("STOP_AT", "0")):
            os.kill(os.getpid(), int(os.environ["STOP_SIGNAL"]))
        return super().__call__(images, generator)
