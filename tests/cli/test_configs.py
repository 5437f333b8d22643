"""Every option of every group, found by listing the folder: it is composed, built, and told of by --help."""

import inspect
import re
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.entry import in_process
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn

from reid.data.augment import Augment
from reid.data.samplers import Batching, Pictures
from reid.door.arguments import backbone_of
from reid.door.build import build, read_split, sampler_maker
from reid.door.command import CONFIGS
from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.embedder import Embedder

OPTIONS = sorted((f.parent.name, f.stem) for f in CONFIGS.glob("*/*.yaml"))
OVERLAYS = ("recipe", "debug")
BACKBONES = [name for group, name in OPTIONS if group == "backbone"]


def composed(*overrides: str, root: str = "train") -> DictConfig:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(root, list(overrides))


def options(*groups: str) -> list[tuple[str, str]]:
    return [(group, name) for group, name in OPTIONS if group in groups]


def chosen(group: str, name: str) -> DictConfig:
    """The node of one option, as the command line chooses it over the default recipe."""
    return composed(f"{group}={name}")[group]


def test_every_group_is_tried_below() -> None:
    tried = {
        "dataset",
        "sampler",
        "backbone",
        "head",
        "objective",
        "augment",
        "mix",
        "optimizer",
        "schedule",
        "trainer",
        "logger",
    }
    assert {group for group, _ in OPTIONS} == tried | set(OVERLAYS)


@pytest.mark.parametrize("script", ["train.py", "eval.py"])
def test_help_lists_every_option_of_its_groups(script: str) -> None:
    text = in_process(script, "--help").check().out
    listed = dict(reversed(re.findall(r"^(\w+): (.+)$", text, re.MULTILINE)))  # keys come after groups
    for group, name in OPTIONS:
        assert name in listed[group].split(", ")


@pytest.mark.parametrize("name", BACKBONES)
def test_backbone_is_built_and_gives_the_map_it_promises(name: str) -> None:
    node = composed(f"backbone={name}", *(["backbone.name=resnet10t"] if name == "timm" else [])).backbone
    if "pretrained" in node:
        node.pretrained = False
    if "timm" not in node["_target_"]:
        assert node.name == name
    backbone, layer_decay = backbone_of(node)
    assert isinstance(backbone, Backbone)
    assert layer_decay == 1
    with torch.inference_mode():
        maps = backbone.eval()(torch.zeros(1, 3, 128, 128))
    assert maps.shape[:2] == (1, backbone.channels)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_step_down_the_gradient_lowers_the_loss_as_far_as_it_says(name: str) -> None:
    """By a millionth of the loss if the gradient is right in every layer; in float64, which sees so short a step."""
    torch.manual_seed(0)
    node = composed(f"backbone={name}", *(["backbone.name=resnet10t"] if name == "timm" else [])).backbone
    if "pretrained" in node:
        node.pretrained = False
    backbone = backbone_of(node)[0].train().double()
    images, wanted = torch.randn(3, 3, 96, 96).double(), torch.randn(3, backbone.channels).double()

    def loss() -> torch.Tensor:
        torch.manual_seed(1)  # of dropout and of left out branches
        return (backbone(images).mean((2, 3)) - wanted).square().mean()

    before = loss()
    before.backward()
    parameters = [p for p in backbone.parameters() if p.grad is not None]
    assert len(parameters) > 0.9 * len(list(backbone.parameters()))
    slope = sum(p.grad.square().sum() for p in parameters)
    with torch.no_grad():
        for parameter in parameters:
            parameter -= 1e-6 * before / slope * parameter.grad
    assert float((before - loss()).detach() / before.detach()) == pytest.approx(1e-6, rel=0.02)


@pytest.mark.parametrize(("group", "name"), options("head"))
def test_head_makes_embeddings_of_length_one(group: str, name: str) -> None:
    backbone = Backbone(OrderedDict(conv=nn.Conv2d(3, 5, 3, stride=2)), name="tiny", channels=5)
    embedder = Embedder(backbone, image_size=(16, 8), num_classes=3, **chosen(group, name)).eval()
    found = embedder(torch.rand(2, 3, 16, 8))
    assert found.shape == (2, 5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize(("group", "name"), options("objective"))
def test_objective_gives_its_terms_by_name_and_a_gradient(group: str, name: str) -> None:
    node = chosen(group, name)
    feature, logits = torch.randn(8, 4, requires_grad=True), torch.randn(8, 2, requires_grad=True)
    loss, terms = build(node, group)(feature, logits, torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
    assert set(terms) == set(node.terms)
    expected = sum(float(node.terms[key].weight) * float(value.detach()) for key, value in terms.items())
    assert float(loss.detach()) == pytest.approx(expected)
    loss.backward()
    assert any(x.grad is not None and bool(x.grad.abs().sum() > 0) for x in (feature, logits))


@pytest.mark.parametrize(("group", "name"), options("sampler"))
def test_sampler_draws_whole_batches(group: str, name: str) -> None:
    people = np.repeat(np.arange(4), 4)
    known = Pictures(people, np.tile([1, 2], 8), people // 2, lambda index: np.ones((len(index), 3), np.float32))
    sampler = sampler_maker(chosen(group, name))(known, Batching(2, 2))
    drawn = list(sampler)
    assert len(drawn) == len(sampler)
    assert all(len(batch) == 4 and set(batch) <= set(range(16)) for batch in drawn)


@pytest.mark.parametrize(("group", "name"), options("augment"))
def test_augmentation_keeps_shape_and_type(group: str, name: str) -> None:
    images = torch.randint(256, (6, 3, 64, 32), dtype=torch.uint8)
    changed = build(chosen(group, name), group)(images.clone(), torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    assert torch.equal(changed, images) == (name == "none")


@pytest.mark.parametrize(("group", "name"), options("augment"))
def test_every_set_has_every_option(group: str, name: str) -> None:
    """So that any of them can be switched on over any set."""
    signature = inspect.signature(Augment).parameters
    assert set(chosen(group, name)) == {"_target_", *signature}


@pytest.mark.parametrize(("group", "name"), options("mix"))
def test_mix_keeps_images_images_and_labels_shares(group: str, name: str) -> None:
    node = chosen(group, name)
    if not node:
        assert name == "none"
        return
    images = torch.randint(256, (6, 3, 64, 32), dtype=torch.uint8)
    mixed, targets = build(node, group)(images.clone(), torch.arange(6), 6, torch.Generator().manual_seed(0))
    assert mixed.shape == images.shape
    assert mixed.dtype == torch.uint8
    torch.testing.assert_close(targets.sum(1), torch.ones(6))
    assert not torch.equal(mixed, images)


@pytest.mark.parametrize(("group", "name"), options("optimizer"))
def test_optimizer_moves_a_weight_at_the_rate_it_says(group: str, name: str) -> None:
    node = chosen(group, name)
    weight = nn.Parameter(torch.ones(3))
    optimizer = build(node, group)([weight])
    assert optimizer.param_groups[0]["lr"] == node.lr
    (weight * weight).sum().backward()
    optimizer.step()
    assert bool((weight < 1).all())


@pytest.mark.parametrize(("group", "name"), options("schedule"))
def test_schedule_is_a_factor_from_zero_to_one_all_along_the_run(group: str, name: str) -> None:
    schedule = build(chosen(group, name), group)
    factors = [schedule(step / 100) for step in range(101)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1)


@pytest.mark.parametrize(("group", "name"), options("trainer"))
def test_trainer_settings_name_a_device_or_say_that_it_is_missing(group: str, name: str) -> None:
    node = chosen(group, name)
    settings = build(node, group)
    if node.accelerator == "gpu" and not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"trainer\.accelerator=gpu .* no CUDA device: choose auto or cpu"):
            settings.device  # noqa: B018
    else:
        assert settings.device.type in ("cpu", "cuda")


@pytest.mark.parametrize(("group", "name"), options("logger"))
def test_logger_writes_below_the_run_or_is_none(group: str, name: str, tmp_path: Path) -> None:
    node = chosen(group, name)
    if not node:
        assert name == "none"
        return
    if name in ("mlflow", "wandb") and find_spec(name) is None:
        with pytest.raises(UserError, match=f"logger={name} .* pip install"):
            build(node, group)
        return
    logger = build(node, group)(save_dir=tmp_path)
    if name == "mlflow":
        assert logger.save_dir is None  # a database
        assert list(tmp_path.glob("mlflow.db"))
        return
    assert Path(logger.save_dir).is_relative_to(tmp_path)


@pytest.mark.parametrize(("group", "name"), options("dataset"))
def test_dataset_reads_its_folder_or_says_what_it_wants(group: str, name: str, toy: Path, tmp_path: Path) -> None:
    """The toy set is in the layout of Market-1501; a reader of another layout names what is missing."""
    node = chosen(group, name)
    assert node.name == name
    if name == "union":  # which has no folder of its own
        with pytest.raises(UserError, match="dataset.sets is missing: name the sets"):
            read_split(node, seed=0)
        return
    if name == "toy":
        node.train_identities, node.test_identities = 8, 4
    if name in ("toy", "market1501"):
        node.root = str(toy)
        split, validation = read_split(node, seed=0)
        assert validation is None
        assert split.name == name
        for part, folder in {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}.items():
            assert {r.path for r in getattr(split, part)} == set((toy / folder).iterdir())
    if name != "toy":  # which renders itself
        node.root = str(tmp_path / "none")
        with pytest.raises(UserError, match=r"dataset\.root=.*none"):
            read_split(node, seed=0)


@pytest.mark.parametrize("group", OVERLAYS)
def test_overlays_compose_with_every_backbone(group: str) -> None:
    for _, name in options(group):
        for backbone in BACKBONES:
            cfg = composed(f"{group}={name}", f"backbone={backbone}")
            assert cfg.backbone["_target_"].startswith("reid.models.backbones.")
            for part in ("objective", "augment", "optimizer", "schedule", "trainer"):
                build(cfg[part], part)


@pytest.mark.parametrize("name", [name for _, name in options("dataset")])
def test_judging_composes_with_every_data_set(name: str) -> None:
    assert composed(f"dataset={name}", root="eval").dataset.name == name
