"""Which images make a batch. One file a sampler; a config names one, or a user's own of the same two arguments."""

from reid.data.samplers.cameras import CameraSampler
from reid.data.samplers.hard import HardSampler
from reid.data.samplers.identity import IdentitySampler
from reid.data.samplers.sets import SetSampler
from reid.data.samplers.shared import Batching, EpochSampler, Pictures
from reid.data.samplers.shuffle import ShuffleSampler

__all__ = [
    "Batching", "CameraSampler", "EpochSampler", "HardSampler", "IdentitySampler", "Pictures", "SetSampler",
    "ShuffleSampler",
]  # fmt: skip
