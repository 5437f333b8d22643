"""SyncBatchNorm on processes with unequal shares, beside torch's BatchNorm on the joined batch."""

from collections.abc import Callable
from functools import partial

import pytest
import tiny
import torch
from timm.layers import BatchNormAct2d
from tiny_processes import on_processes
from torch import Tensor, nn

from reid import processes
from reid.processes import Shares
from reid.training.sync_batchnorm import SyncBatchNorm, SyncBatchNorms, synchronise

SIZES = (5, 1, 3)
Make = Callable[[], nn.Module]


def norm(make: Make) -> nn.Module:
    """As if trained."""
    layer, generator = make(), torch.Generator().manual_seed(0)
    for value in (*layer.parameters(), layer.running_mean, layer.running_var):
        value.data.uniform_(0.5, 1.5, generator=generator)  # type: ignore[union-attr]
    return layer


def passed(make: Make, shape: tuple[int, ...], batches: int) -> dict[str, Tensor]:
    """Two batches through the layer: outputs, gradients of inputs and weights, running statistics; rows joined."""
    model, generator = nn.Sequential(norm(make)), torch.Generator().manual_seed(1)
    if processes.count() > 1:
        synchronise(model, SyncBatchNorm.of)
        assert isinstance(model[0], SyncBatchNorm)
    outputs, gradients = [], []
    for _ in range(batches):
        whole = torch.randn(sum(SIZES), *shape, generator=generator) * 3 + 7
        wanted = torch.randn(whole.shape, generator=generator)
        if whole.ndim == 4:
            whole = whole.contiguous(memory_format=torch.channels_last)
        rows = whole.split(SIZES)[processes.rank()] if processes.count() > 1 else whole
        shares, rows = Shares.of(rows), rows.detach().requires_grad_()
        out = model(rows)
        assert out.stride() == rows.stride()
        (out.square() * shares.own(wanted)).sum().backward()
        outputs.append(shares.join(out.detach()))
        gradients.append(shares.join(rows.grad))
    weights = {f"gradient of {k}": processes.total(p.grad) for k, p in model.named_parameters()}
    return {"out": torch.stack(outputs), "in": torch.stack(gradients), **weights, **dict(model.named_buffers())}


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (partial(nn.BatchNorm1d, 4), (4,)),
        (partial(nn.BatchNorm2d, 4, momentum=None, eps=1e-3), (4, 3, 2)),
        (partial(BatchNormAct2d, 4), (4, 3, 2)),
    ],
)
def test_it_is_batchnorm_on_the_joined_batch(make: Make, shape: tuple[int, ...]) -> None:
    expected = passed(make, shape, 2)
    for found in on_processes(passed, 3, make, shape, 2):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_what_is_frozen_stays_and_so_do_the_names_of_all() -> None:
    net = tiny.embedder()
    names = list(net.state_dict())
    net.backbone.freeze(["norm"])
    SyncBatchNorms(torch.device("cpu")).apply(net)
    assert type(net.backbone.norm) is nn.BatchNorm2d
    assert type(net.bnneck) is SyncBatchNorm
    assert not net.bnneck.bias.requires_grad
    assert list(net.state_dict()) == names


def test_in_evaluation_and_alone_it_is_batchnorm() -> None:
    plain, images = norm(partial(nn.BatchNorm2d, 4)), torch.randn(3, 4, 2, 2)
    own = SyncBatchNorm.of(norm(partial(nn.BatchNorm2d, 4)))
    assert torch.equal(own(images), plain(images))
    assert torch.equal(own.eval()(images), plain.eval()(images))
