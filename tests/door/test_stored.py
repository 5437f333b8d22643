"""What of a run's config may be another when it goes on."""

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from reid.door.stored import refuse_changes
from reid.errors import UserError
from reid.runs.folder import RunFolder

CONFIGS = Path(__file__).parents[2] / "configs"


def composed(*given: str) -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        return compose("train", [*given])


def refused(folder: Path, begun: DictConfig, *given: str, allowed: bool = False) -> str:
    """What is said to a run that began with one config and goes on with another."""
    OmegaConf.save(begun, folder / "config.yaml", resolve=True)
    now = OmegaConf.to_yaml(composed(*given), resolve=True)
    with pytest.raises(UserError) as caught:
        refuse_changes(RunFolder(folder), now, option="resume", allowed=allowed)
    return str(caught.value)


def without(config: DictConfig, *keys: str) -> DictConfig:
    """As an older version of the framework would have written it."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    for key in keys:
        *groups, last = key.split(".")
        node = plain
        for group in groups:
            node = node[group]
        del node[last]
    return OmegaConf.create(plain)


OLD = ("sampler", "mix", "trainer.accumulate", "trainer.ema", "data.skip_unreadable", "backbone.freeze")


@pytest.mark.parametrize("begun", [(), OLD])
def test_a_config_that_says_the_same_goes_on(tmp_path: Path, begun: tuple[str, ...]) -> None:
    """And so does the old config itself, which says nothing of what was made since."""
    old = without(composed(), *begun)
    OmegaConf.save(old, tmp_path / "config.yaml")
    for now in (composed("trainer.max_epochs=99", "trainer.devices=2"), old):
        yaml = OmegaConf.to_yaml(now, resolve=True)
        refuse_changes(RunFolder(tmp_path), yaml, option="resume", allowed=False)


@pytest.mark.parametrize("begun", [(), OLD])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["mix=mixup", "objective=softmax"], "mix._target_=reid.data.augment.Mixup (was None)"),
        (["sampler=shuffle"], "ShuffleSampler (was reid.data.samplers.IdentitySampler)"),
        (["trainer.accumulate=4"], "trainer.accumulate=4 (was 1)"),
        (["trainer.ema=0.9"], "trainer.ema=0.9 (was None)"),
        (["data.skip_unreadable=true"], "data.skip_unreadable=True (was False)"),
    ],
)
def test_a_choice_that_trains_otherwise_is_told(
    tmp_path: Path, begun: tuple[str, ...], given: list[str], says: str
) -> None:
    assert says in refused(tmp_path, without(composed(), *begun), *given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("backbone.freeze=[layer1]", "with the optimiser of its checkpoint"),
        ("backbone.layer_decay=0.7", "with the optimiser of its checkpoint"),
        ("optimizer.lr=1", "with the optimiser of its checkpoint"),
        ("trainer/strategy=fsdp", "trainer.strategy=auto cannot go on with fsdp"),
    ],
)
def test_what_the_optimiser_cannot_go_on_with_is_refused_whatever_is_allowed(
    tmp_path: Path, given: str, says: str
) -> None:
    assert says in refused(tmp_path, composed(), given, allowed=True)


def test_a_run_of_shares_may_go_on_whole(tmp_path: Path) -> None:
    OmegaConf.save(composed("trainer/strategy=fsdp"), tmp_path / "config.yaml", resolve=True)
    now = OmegaConf.to_yaml(composed("trainer/strategy=ddp"), resolve=True)
    refuse_changes(RunFolder(tmp_path), now, option="resume", allowed=False)
