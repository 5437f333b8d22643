import os
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import reid
from reid.errors import UserError
from reid.models.backbones import torchvision_nets
from reid.models.checkpoint import load_trained
from reid.models.embedder import Embedder

OURS = "reid.models.backbones.torchvision_nets.build"


def content(net: Embedder, builder: str, arguments: dict[str, Any], **head: str) -> dict[str, Any]:
    """A checkpoint as training writes it, with some of what Lightning adds."""
    spec = {
        "backbone": {"builder": builder, "arguments": arguments},
        "head": head,
        "image_size": list(net.image_size),
        "num_classes": net.classifier.out_features,
        "bf16": False,
        "evaluation": {"protocol": "standard", "distance": "cosine"},
    }
    state = {f"embedder.{k}": v for k, v in net.state_dict().items()}
    return {"reid": spec, "state_dict": state, "epoch": 3, "global_step": 40, "optimizer_states": [{"state": {}}]}


def save_tiny(path: Path, net: Embedder | None = None, **changes: Any) -> Path:
    torch.save(content(net or tiny.embedder(), "tiny.backbone", {"channels": 6}) | changes, path)
    return path


def test_network_of_this_package_comes_back_whole_and_downloads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise AssertionError("a checkpoint has its own weights")

    monkeypatch.setattr(torchvision_nets, "_published", refuse)
    torch.manual_seed(0)
    head = {"pooling": "gem", "feature": "before_bnneck"}
    net = Embedder(torchvision_nets.build("mobilenet_v2", pretrained=False), image_size=(32, 32), num_classes=3, **head)
    torch.nn.init.constant_(net.pool.p, 2.5)
    arguments = {"name": "mobilenet_v2", "pretrained": True, "weights": "/gone.pth", "last_stride": None}
    torch.save(content(net, OURS, arguments, **head), tmp_path / "last.ckpt")
    images = tiny.images(3, size=(32, 32))
    with torch.no_grad():
        expected = net.eval()(images)
        for again in (load_trained(tmp_path / "last.ckpt").embedder, reid.load(str(tmp_path / "last.ckpt"))):
            assert not again.training
            assert again.image_size == (32, 32)
            assert torch.equal(again(images), expected)


def test_facts_of_the_checkpoint_are_told(tmp_path: Path) -> None:
    trained = load_trained(save_tiny(tmp_path / "last.ckpt"), trust=True)
    assert trained.epochs == 4  # Lightning counts epochs from 0
    assert load_trained(save_tiny(tmp_path / "first.ckpt", epoch=0, global_step=0), trust=True).epochs == 0
    assert trained.spec["num_classes"] == 4
    assert trained.spec["evaluation"] == {"protocol": "standard", "distance": "cosine"}


def test_builder_from_elsewhere_needs_trust(tmp_path: Path) -> None:
    path, net = tmp_path / "last.ckpt", tiny.embedder(seed=5).eval()
    save_tiny(path, net)
    for load in (load_trained, reid.load):
        with pytest.raises(UserError, match=r"built by tiny\.backbone, which is not part of this package"):
            load(path)
    with torch.no_grad():
        assert torch.equal(load_trained(path, trust=True).embedder(tiny.images(3)), net(tiny.images(3)))


@pytest.mark.parametrize("builder", ["os.mkdir", "reid.models.backbones.torchvision_nets.torchvision.os.mkdir"])
def test_builder_that_could_be_any_function_is_not_called(tmp_path: Path, builder: str) -> None:
    made = tmp_path / "made"
    torch.save(content(tiny.embedder(), builder, {"path": str(made)}), tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=f"built by {builder}"):
        load_trained(tmp_path / "last.ckpt")
    assert not made.exists()


@pytest.mark.parametrize("builder", ["no_such_module.build", "tiny.no_such_function"])
def test_builder_that_is_gone_is_named(tmp_path: Path, builder: str) -> None:
    torch.save(content(tiny.embedder(), builder, {}), tmp_path / "last.ckpt")
    with pytest.raises(UserError, match=f"built by {builder}, which cannot be imported here"):
        load_trained(tmp_path / "last.ckpt", trust=True)


def test_weights_that_do_not_fit_are_told(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "last.ckpt", state_dict={"embedder.backbone.conv.weight": torch.ones(1)})
    with pytest.raises(UserError, match="its weights do not fit the network it describes") as caught:
        load_trained(path, trust=True)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("spec", [{"backbone": {}}, {"backbone": "resnet50"}, {"image_size": [16, 8]}])
def test_description_of_another_version_is_told(tmp_path: Path, spec: dict) -> None:
    path = save_tiny(tmp_path / "last.ckpt", reid=spec)
    with pytest.raises(UserError, match="describes its network in a way this version does not know") as caught:
        load_trained(path, trust=True)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("other", [{"conv1.weight": torch.ones(2)}, {"state_dict": {}, "epoch": 1}, [1, 2], "text"])
def test_other_files_of_torch_are_told_where_they_belong(tmp_path: Path, other: object) -> None:
    torch.save(other, tmp_path / "resnet.pth")
    with pytest.raises(UserError, match="not a checkpoint of this framework") as caught:
        reid.load(tmp_path / "resnet.pth")
    assert "backbone.weights=FILE" in str(caught.value)


def test_missing_and_truncated_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"checkpoint=.*last\.ckpt: no such file"):
        reid.load(tmp_path / "last.ckpt")
    path = save_tiny(tmp_path / "last.ckpt")
    for share in (0.0, 0.5, 0.99):
        save_tiny(path)
        os.truncate(path, int(share * path.stat().st_size))
        with pytest.raises(UserError, match=r"run=.*last\.ckpt is"):
            load_trained(path, option="run")


def test_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "last.ckpt", hyper_parameters=Path("a path is an object, not a plain value"))
    with pytest.raises(UserError, match="objects that could run code"):
        load_trained(path, trust=True)
