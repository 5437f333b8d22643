"""trainer.compile: the same training, compiled once."""

from pathlib import Path

import pytest
import tiny
import torch
from tiny_training import Batch, fit, module

from reid.training.checkpoints import Checkpoints


def batches() -> list[Batch]:
    """Of three and four identities in turn, as the samplers draw them."""
    return [
        (tiny.images(2 * n, seed=n), torch.arange(n).repeat_interleave(2), torch.ones(2 * n).long()) for n in (4, 3, 4)
    ]


@pytest.mark.slow
def test_compiled_once_it_trains_as_before(tmp_path: Path) -> None:
    """Over epochs, validation and batches of other sizes; any further compilation is an error."""
    validation = [(tiny.images(5), torch.arange(5), torch.ones(5).long())]
    states = []
    for name, compile in (("plain", False), ("compiled", True)):
        net = module(compile=compile, score=lambda features: {"mAP": 0.5})
        torch._dynamo.reset()
        with torch._dynamo.config.patch(error_on_recompile=True):
            fit(tmp_path, net, batches(), epochs=3, callbacks=[Checkpoints(tmp_path / name)], validation=validation)
        states.append(torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"])
    assert list(states[0]) == list(states[1])
    torch.testing.assert_close(states[0], states[1], rtol=1e-3, atol=1e-4)
