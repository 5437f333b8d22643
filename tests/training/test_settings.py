from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import tiny
import torch
from torch import nn

from reid.errors import UserError
from reid.training.settings import TrainerSettings, build_trainer, device_for, use_bf16


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"precision": "16"}, r"trainer\.precision=16 is unknown: choose one of auto, 32, bf16"),
        ({"max_epochs": 0}, r"trainer\.max_epochs=0 must be at least 1"),
        ({"limit_train_batches": 0}, r"trainer\.limit_train_batches=0 must be at least 1"),
        ({"val_every_n_epochs": 0}, r"trainer\.val_every_n_epochs=0 must be at least 1"),
        ({"log_every_n_steps": -1}, r"trainer\.log_every_n_steps=-1 must be at least 1"),
        ({"ema": 1.0}, r"trainer\.ema=1\.0 must lie between 0 and 1, or be null"),
        ({"ema": 0}, r"trainer\.ema=0 must lie between 0 and 1"),
        ({"profiler": "advanced"}, r"trainer\.profiler=advanced is unknown: choose simple or null"),
    ],
)
def test_bad_options_are_told(option: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainerSettings(**{"max_epochs": 1, **option})


def test_rate_is_as_given_or_in_proportion_to_the_images_of_a_step() -> None:
    assert TrainerSettings(max_epochs=1, accumulate=4).rate_factor(64) == 1
    assert TrainerSettings(max_epochs=1, scale_lr_from=64).rate_factor(128) == 2
    assert TrainerSettings(max_epochs=1, scale_lr_from=64, accumulate=3).rate_factor(32) == 1.5


@pytest.mark.parametrize("precision", ["auto", "32", 32, "bf16"])  # YAML reads 32 as a number
def test_good_options_are_taken(precision: str | int) -> None:
    TrainerSettings(max_epochs=1, precision=precision, ema=0.999, limit_train_batches=1, profiler="simple")


def with_cuda(monkeypatch: pytest.MonkeyPatch, there: bool, bf16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla X")
    # Every card says yes where slow emulation counts.
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation)


@pytest.mark.parametrize(
    ("accelerator", "cuda", "expected"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("gpu", True, "cuda"),
    ],
)
def test_device_of_an_accelerator(accelerator: str, cuda: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuda(monkeypatch, cuda)
    assert device_for(accelerator) == torch.device(expected)
    assert TrainerSettings(max_epochs=1, accelerator=accelerator).device == torch.device(expected)


def test_device_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuda(monkeypatch, False)
    with pytest.raises(UserError, match=r"trainer\.accelerator=gpu but this machine has no CUDA device"):
        device_for("gpu")
    with pytest.raises(UserError, match=r"^accelerator=gpu but this machine"):
        device_for("gpu", option="accelerator")
    with pytest.raises(UserError, match=r"trainer\.accelerator=tpu is unknown: choose auto, cpu or gpu"):
        device_for("tpu")


CPU, CUDA = torch.device("cpu"), torch.device("cuda")
DEPTHWISE = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.Conv2d(8, 8, 3, groups=8)))
GROUPED = nn.Sequential(nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(1, 4, 3))  # one input channel alone is not depthwise


def cpu_with(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: name in features, raising=False)


@pytest.mark.parametrize("net", [tiny.backbone(), DEPTHWISE])
@pytest.mark.parametrize("device", [CPU, CUDA])
def test_precision_that_is_asked_for_is_given(
    net: nn.Module, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with(monkeypatch)
    with_cuda(monkeypatch, True, bf16=False)
    assert use_bf16("bf16", device, net) == (True, "as asked")
    assert use_bf16("32", device, net) == (False, "as asked")
    assert use_bf16(32, device, net) == (False, "as asked")


@pytest.mark.parametrize("bf16", [True, False])
def test_auto_on_a_card_asks_the_card(bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuda(monkeypatch, True, bf16=bf16)
    assert use_bf16("auto", CUDA, DEPTHWISE) == (bf16, f"Tesla X {'has' if bf16 else 'has no'} bfloat16")


@pytest.mark.parametrize(
    ("features", "net", "expected"),
    [
        ((), tiny.backbone(), False),
        (("avx512_bf16",), tiny.backbone(), True),
        (("amx_tile",), tiny.backbone(), True),
        (("avx512_bf16", "amx_tile"), DEPTHWISE, False),
        (("avx512_bf16",), GROUPED, True),
    ],
)
def test_auto_on_a_cpu_asks_the_cpu_and_the_net(
    features: tuple[str, ...], net: nn.Module, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu_with(monkeypatch, *features)
    assert use_bf16("auto", CPU, net)[0] is expected


def test_cpu_of_another_make_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_with(monkeypatch)
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.delattr(torch.cpu, f"_is_{name}_supported")
    assert use_bf16("auto", CPU, tiny.backbone()) == (False, "this CPU has no bfloat16 instructions")


def trainer(folder: Path, *, bf16: bool = False, **options: Any) -> pl.Trainer:
    settings = TrainerSettings(**{"max_epochs": 3, "accelerator": "cpu", **options})
    return build_trainer(settings, root=str(folder), bf16=bf16, callbacks=[], plugins=[], logger=False)


def test_settings_reach_the_trainer(tmp_path: Path) -> None:
    given = trainer(tmp_path, limit_train_batches=5, gradient_clip_val=0.5, val_every_n_epochs=2, log_every_n_steps=7)
    assert given.max_epochs == 3
    assert given.limit_train_batches == 5
    assert given.gradient_clip_val == 0.5
    assert given.check_val_every_n_epoch == 2
    assert given.log_every_n_steps == 7
    assert given.precision == "32-true"
    assert str(given.strategy.root_device) == "cpu"
    assert trainer(tmp_path, bf16=True).precision == "bf16-mixed"


@pytest.mark.parametrize("option", [{"strategy": "fastest"}, {"devices": "many"}, {"devices": 0}])
def test_what_lightning_refuses_is_told(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="trainer: ") as caught:
        trainer(tmp_path, **option)
    assert "\n" not in str(caught.value)
