"""What the README shows is run, or at least composed."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from cli.entry import in_process
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from reid.data.records import Record
from reid.door.arguments import backbone_of
from reid.door.build import build
from reid.evaluation import PROTOCOLS
from reid.models.embedder import Embedder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DATA = (ROOT / "data" / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[tuple[str, list[str]]]:
    """Every ``python train.py`` and ``python eval.py`` line: the config's name and its overrides."""
    lines = re.findall(r"^python (train|eval)\.py([^#\n]*)", README + DATA, flags=re.MULTILINE)
    return [(name, [word for word in shlex.split(rest) if word != "-m"]) for name, rest in lines]


@pytest.mark.parametrize(("name", "overrides"), commands())
def test_commands_compose(name: str, overrides: list[str]) -> None:
    single = [word.split(",")[0] if "[" not in word else word for word in overrides]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        compose(name, overrides=single)


def test_every_option_that_exists_is_listed_and_no_other() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", README, flags=re.MULTILINE))
    for group in (
        p for p in (ROOT / "configs").iterdir() if p.is_dir() and p.name != "hydra"
    ):  # docs/sweeps.md has that
        known = {f.stem for f in group.glob("*.yaml")}
        named = set(re.findall(r"`([\w.=]+)`", listed[group.name]))
        assert known <= named, group.name
        assert {n for n in named - known if "." not in n} <= {"avgmax"}, group.name


def test_own_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(b for b in blocks("python") if "def small" in b)
    (tmp_path / "my_nets.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    node = OmegaConf.create(next(b for b in blocks("yaml") if "my_nets" in b))
    embedder = Embedder(build(node, "backbone"), image_size=(64, 32), num_classes=3)
    assert embedder.dim == 256
    assert embedder(torch.zeros(2, 3, 64, 32)).shape == (2, 256)
    sys.modules.pop("my_nets", None)


def test_evaluating_arrays(capsys: pytest.CaptureFixture[str]) -> None:
    exec(next(b for b in blocks("python") if "query_camids" in b), {})
    # Query 0 finds its two matches at ranks 1 and 3: AP = (1 + 2/3) / 2. Query 1 finds its own at rank 2: 1/2.
    mAP, rank_1, ranks = capsys.readouterr().out.split(maxsplit=2)
    assert float(mAP) == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert float(rank_1) == 0.5
    assert ranks.strip() == "[1 3]"


def test_embedding_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(b for b in blocks("python") if "reid.load" in b)
    checkpoint = Path(re.search(r'reid\.load\("([^"]+)"\)', source)[1])
    arguments = {"name": "resnet18", "pretrained": False}
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        backbone, _ = backbone_of(compose("train", overrides=["backbone.pretrained=false"]).backbone)
    embedder = Embedder(backbone, image_size=(64, 32), num_classes=2)
    monkeypatch.chdir(tmp_path)
    checkpoint.parent.mkdir(parents=True)
    spec = {
        "backbone": {"builder": "reid.models.backbones.torchvision_nets.build", "arguments": arguments},
        "head": {},
        "image_size": [64, 32],
        "num_classes": 2,
    }
    torch.save({"reid": spec, "state_dict": {f"embedder.{k}": v for k, v in embedder.state_dict().items()}}, checkpoint)
    for record in (Record(tmp_path / "a.jpg", 1, 1), Record(tmp_path / "b.jpg", 2, 1)):
        Image.new("RGB", (50, 120), (40 * record.pid, 90, 10)).save(record.path)
    found: dict = {}
    exec(source, found)
    assert found["features"].shape == (2, 512)
    assert found["similarity"] == pytest.approx(float(found["features"][0] @ found["features"][1]))


def test_arrays_for_eval_are_what_eval_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(next(b for b in blocks("python") if "np.savez" in b), {})
    out = in_process("eval.py", f"eval.features={tmp_path}/some.npz").check().out
    assert re.search(r"^queries +196$", out, re.MULTILINE)


def test_the_evaluator_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict = {}
    exec(next(b for b in blocks("python") if "GalleryIndex" in b), names)
    out = capsys.readouterr().out
    assert "re-ranked: k-reciprocal re-ranking k1=20 k2=6 lambda=0.3" in out
    assert 0 < names["result"].mAP < 1
    assert (names["rows"][0] // 8 == 0).any()


def test_every_protocol_is_listed_and_no_other() -> None:
    table = README.split("| protocol |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(PROTOCOLS)
