import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from reid.errors import UserError
from reid.models import weights
from reid.models.backbones import osnet


def net(seed: int, features: int = 4) -> nn.Sequential:
    """Sixteen tensors and three counters."""
    torch.manual_seed(seed)
    layers = [m for _ in range(3) for m in (nn.Linear(features, features, bias=False), nn.BatchNorm1d(features))]
    layers[0] = nn.Linear(features, features)
    return nn.Sequential(*layers)


def state(seed: int = 1) -> dict[str, Tensor]:
    return {k: v + 1 for k, v in net(seed).state_dict().items()}


def holds(module: nn.Module, expected: dict[str, Tensor]) -> bool:
    return all(torch.equal(v, expected[k]) for k, v in module.state_dict().items())


def load(module: nn.Module, path: Path) -> str:
    return weights.load(module, weights.read(path, option="backbone.weights"), source=str(path))


def save_old(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "pt"])
def test_file_fills_the_network(tmp_path: Path, suffix: str) -> None:
    path, module = tmp_path / f"w.{suffix}", net(0)
    (save_file if suffix == "safetensors" else torch.save)(state(), path)
    assert load(module, path) == "16 of 16 tensors"  # the counters are not counted
    assert holds(module, state())


@pytest.mark.parametrize("save", [torch.save, save_old], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "embedder.backbone.", "module.embedder.backbone."])
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("model",), ("model_state_dict",), ("model", "state_dict")])
def test_what_trainers_wrap_around_names_is_taken_off(
    tmp_path: Path, wrapper: tuple[str, ...], prefix: str, save: Callable[[object, Path], None]
) -> None:
    content: Any = {prefix + k: v for k, v in state().items()}
    unused = ""
    if "embedder." in prefix:  # a whole checkpoint of this framework has other parts
        unused = ", not used: 1 (bnneck.weight)"
        content |= {prefix.replace("backbone.", "bnneck.weight"): torch.ones(4)}
    for key in wrapper:
        content = {key: content, "epoch": 3, "optimizer": {"lr": 0.1, "steps": [1, 2]}}
    path, module = tmp_path / "w.pth", net(0)
    save(content, path)
    assert load(module, path) == "16 of 16 tensors" + unused
    assert holds(module, state())


def test_counters_of_batchnorm_may_be_absent(tmp_path: Path) -> None:
    path, module = tmp_path / "w.pth", net(0)
    torch.save({k: v for k, v in state().items() if not k.endswith("num_batches_tracked")}, path)
    assert load(module, path) == "16 of 16 tensors"


def test_report_counts_what_is_missing_and_what_is_left(tmp_path: Path) -> None:
    path, module = tmp_path / "w.pth", net(0)
    content = {k: v for k, v in state().items() if k != "0.bias"}
    torch.save(content | {"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(2)}, path)
    before = module.state_dict()["0.bias"].clone()
    assert load(module, path) == "15 of 16 tensors, missing: 1 (0.bias), not used: 2 (fc.weight, fc.bias)"
    assert torch.equal(module.state_dict()["0.bias"], before)
    assert torch.equal(module.state_dict()["0.weight"], content["0.weight"])


def test_tensor_of_another_shape_is_not_taken(tmp_path: Path) -> None:
    path, module = tmp_path / "w.pth", net(0)
    torch.save(state() | {"0.bias": torch.ones(5)}, path)
    assert load(module, path) == "15 of 16 tensors, missing: 1 (0.bias), not used: 1 (0.bias)"


def test_under_nine_tenths_is_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    path, module = tmp_path / "w.pth", net(0)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    torch.save({k: v for k, v in state().items() if k not in ("0.bias", "2.weight")}, path)  # 14 of 16 is 87.5 %
    with pytest.raises(UserError, match="does not fit this backbone: 14 of 16 tensors, missing: 2") as caught:
        load(module, path)
    assert str(path) in str(caught.value)
    assert holds(module, before)


def test_exactly_nine_tenths_is_enough() -> None:
    module = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(10)])
    assert weights.load(module, {str(i): torch.ones(1) for i in range(9)}, source="x").startswith("9 of 10 tensors")
    assert [p.item() for p in module] == [1.0] * 9 + [0.0]


def test_long_lists_of_names_are_cut_short(tmp_path: Path) -> None:
    module = nn.ParameterList([nn.Parameter(torch.zeros(1))])
    report = weights.load(module, {"0": torch.ones(1), **{f"x{i}": torch.ones(1) for i in range(7)}}, source="x")
    assert report == "1 of 1 tensors, not used: 7 (x0, x1, x2, x3 and 3 more)"


def test_densenet_names_from_before_2018_are_understood() -> None:
    """torchvision's own files still have ``norm.1`` where its networks now have ``norm1``."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.conv2 = nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1, bias=False)

    module = nn.ModuleDict({"denseblock1": nn.ModuleDict({"denselayer1": Layer()})})
    old = {
        k.replace("norm1", "norm.1").replace("conv2", "conv.2"): torch.full_like(v, 3)
        for k, v in module.state_dict().items()
    }
    assert weights.load(module, old, source="x") == "5 of 5 tensors"
    assert all((v == 3).all() for v in module.state_dict().values())


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return Path.mkdir, (self.folder,)


def save_plain_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [torch.save, save_old, save_plain_pickle], ids=["zip", "before torch 1.6", "pickle"])
def test_file_that_would_run_code_is_refused_and_does_not(tmp_path: Path, save: Callable[[object, Path], None]) -> None:
    path, made = tmp_path / "w.pth", tmp_path / "made"
    save({"state_dict": {**state(), "extra": Harmful(made)}}, path)
    with pytest.raises(UserError, match="objects that could run code") as caught:
        weights.read(path, option="backbone.weights")
    assert f"backbone.weights={path}" in str(caught.value)
    assert not made.exists()
    torch.load(path, weights_only=False) if save is not save_plain_pickle else pickle.loads(path.read_bytes())
    assert made.exists()  # the file was harmful


@pytest.mark.parametrize("kind", ["zip", "before torch 1.6", "safetensors"])
def test_truncated_file_is_told_wherever_it_ends(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    {"zip": torch.save, "before torch 1.6": save_old, "safetensors": save_file}[kind](state(), path)
    content = path.read_bytes()
    for end in [*range(0, len(content), max(1, len(content) // 60)), len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(UserError, match="truncated|not a file of plain tensors") as caught:
            weights.read(path, option="backbone.weights")
        assert f"backbone.weights={path}" in str(caught.value)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_other_files_and_missing_ones_are_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UserError, match="no such file") as caught:
        weights.read(path, option="backbone.weights")
    assert f"backbone.weights={path}" in str(caught.value)
    path.write_text("<html>404</html>\n" * 100)
    with pytest.raises(UserError, match="truncated|not a file of plain tensors"):
        weights.read(path, option="backbone.weights")


@pytest.mark.parametrize("content", [[torch.ones(2)], torch.ones(2), {"epoch": 3}, {"state_dict": {}}, 7])
def test_file_without_named_tensors_is_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no named tensors"):
        weights.read(tmp_path / "w.pth", option="backbone.weights")


def test_batchnorm_of_files_before_2018_is_a_row() -> None:
    old = {k: v[None] if v.ndim == 1 else v for k, v in state().items()}
    own = net(0)
    weights.load(own, old, source="old")
    assert holds(own, state())


# How re-ID frameworks lay a checkpoint out: what is around the tensors, the prefix of the network, and the rest.
CLASSES = torch.ones(5, 4)
LAYOUTS = {
    "torchreid": ("state_dict", "module.", {"module.classifier.weight": CLASSES, "module.classifier.bias": CLASSES[0]}),
    "fast-reid": ("model", "backbone.", {"heads.bottleneck.0.weight": CLASSES[0], "heads.weight": CLASSES}),
    "reid-strong-baseline": ("state_dict", "base.", {"bottleneck.weight": CLASSES[0], "classifier.weight": CLASSES}),
    "TransReID": (None, "base.", {"bottleneck.weight": CLASSES[0], "classifier.weight": CLASSES}),
}


@pytest.mark.parametrize("framework", LAYOUTS)
def test_checkpoints_of_other_frameworks_load_and_name_what_is_left(tmp_path: Path, framework: str) -> None:
    wrapper, prefix, rest = LAYOUTS[framework]
    tensors = {f"{prefix}{k}": v for k, v in state().items()} | rest
    torch.save({wrapper: tensors, "epoch": 60} if wrapper else tensors, tmp_path / "net.pth")
    own = net(0)
    report = load(own, tmp_path / "net.pth")
    assert holds(own, state())
    assert report.startswith("16 of 16 tensors, not used: 2 (")
    assert all(name.removeprefix("module.") in report for name in rest)


@pytest.mark.parametrize(
    ("there", "here", "says"),
    [
        ("osnet_x1_0", "osnet_ibn_x1_0", "has running statistics in the file and none here"),
        ("osnet_ibn_x1_0", "osnet_x1_0", "has running statistics here and none in the file"),
    ],
)
def test_a_file_of_a_near_relative_does_not_fit(there: str, here: str, says: str, tmp_path: Path) -> None:
    """All but a few names are the same."""
    path = tmp_path / "other.pth"
    torch.save(osnet.build(there).state_dict(), path)
    with pytest.raises(UserError, match=rf"does not fit this backbone: conv1\.bn {says}; choose the backbone"):
        osnet.build(here, weights=str(path))


class Mixed(nn.Module):
    """Batch and instance normalisation, one of them without a scale, and a layer of another part of a net."""

    def __init__(self, classifier: nn.Module, tracked: bool = False) -> None:
        super().__init__()
        self.batch, self.instance = nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=tracked)
        self.bare = nn.BatchNorm2d(4, affine=False) if tracked else nn.InstanceNorm2d(4)
        self.convolutions = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(20))
        self.classifier = classifier


def test_normalisation_is_compared_where_weights_fit_and_a_file_can_tell() -> None:
    """A file of before PyTorch 0.4, when instance normalisation kept statistics and none had a counter."""
    other = Mixed(nn.BatchNorm1d(4), tracked=True).state_dict()
    own = Mixed(nn.Linear(4, 4))
    with pytest.raises(UserError, match="instance has running statistics in the file and none here"):
        weights.load(own, other, source="x")
    old = {k: v for k, v in other.items() if not k.endswith("num_batches_tracked")}
    assert weights.load(own, old, source="x").startswith("47 of 48 tensors, missing: 1 (classifier.weight), not used")
    del old["batch.running_mean"]
    assert weights.load(own, old, source="x").startswith("46 of 48 tensors, missing: 2 (batch.running_mean, class")
    del old["batch.running_var"]
    with pytest.raises(UserError, match="batch has running statistics here and none in the file"):
        weights.load(own, old, source="x")
