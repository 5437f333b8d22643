"""What every backbone takes: frozen stages, learning rates by layer, activations computed twice."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.backbones.backbone import learning_rates
from reid.models.backbones.timm_nets import build as timm_build
from reid.models.backbones.torchvision_nets import build


def tiny(seed: int = 0) -> Backbone:
    torch.manual_seed(seed)
    block = [nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()) for _ in range(2)]
    stages = OrderedDict(stem=nn.Conv2d(3, 4, 3), body=nn.Sequential(*block), last=nn.Conv2d(4, 5, 1))
    return Backbone(stages, name="tiny", channels=5)


def images(seed: int = 1) -> Tensor:
    return torch.randn(4, 3, 16, 12, generator=torch.Generator().manual_seed(seed))


def step(net: Backbone, rate: float = 0.1) -> None:
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=rate)
    net.train()(images()).square().mean().backward()
    optimizer.step()


def test_frozen_stages_stay_as_they_are_statistics_too() -> None:
    net = tiny().freeze(["stem", "body.0"])
    before = copy.deepcopy(net.state_dict())
    step(net)
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert not {name for name in changed if name.startswith(("stem.", "body.0."))}
    assert {"body.1.0.weight", "body.1.1.running_mean", "last.weight"} <= changed


def test_a_frozen_stage_normalises_by_its_own_statistics_in_training() -> None:
    net = tiny().freeze(["body.0"]).train()
    assert not net.body[0][1].training
    assert net.body[1][1].training
    assert net.training


def test_layer1_is_not_layer10() -> None:
    stages = OrderedDict(layer1=nn.Conv2d(3, 3, 1), layer10=nn.Conv2d(3, 3, 1))
    net = Backbone(stages, name="two", channels=3).freeze(["layer1"])
    assert [n for n, p in net.named_parameters() if p.requires_grad] == ["layer10.weight", "layer10.bias"]


def test_parameters_outside_any_stage_can_be_frozen_by_name() -> None:
    net = timm_build("vit_tiny_patch16_224", pretrained=False).freeze(["cls_token", "patch_embed", "blocks.0"])
    kept = [n for n, p in net.net.named_parameters() if not p.requires_grad]
    assert kept[0] == "cls_token"
    assert {n.split(".")[0] for n in kept} == {"cls_token", "patch_embed", "blocks"}
    assert not any(n.startswith("blocks.1") for n in kept)


def test_a_stage_that_is_not_there_is_told() -> None:
    with pytest.raises(
        UserError, match=r"backbone\.freeze=layer9 names nothing with weights in resnet18: it has conv1,"
    ):
        build("resnet18", pretrained=False).freeze(["layer9"])


def test_learning_rates_fall_towards_the_images() -> None:
    rates = learning_rates(tiny(), 0.5)  # stem, six of the body of which four have weights, last
    assert rates["last.weight"] == 0.5
    assert rates["body.1.1.weight"] == 0.25
    assert rates["body.1.0.weight"] == 0.125
    assert rates["body.0.0.bias"] == 0.5**5
    assert rates["stem.weight"] == 0.5**6


def test_learning_rates_of_a_transformer_count_its_blocks() -> None:
    rates = learning_rates(timm_build("vit_tiny_patch16_224", pretrained=False), 0.5)
    assert rates["body.net.blocks.11.attn.qkv.weight"] == 2 * rates["body.net.blocks.10.attn.qkv.weight"]
    assert rates["body.net.pos_embed"] == rates["body.net.patch_embed.proj.weight"] == min(rates.values())


@pytest.mark.parametrize("name", ["tiny", "resnet18", "densenet121", "vgg11_bn", "mobilenet_v2"])
def test_computing_twice_changes_nothing_but_memory(name: str) -> None:
    torch.manual_seed(0)
    plain = tiny() if name == "tiny" else build(name, pretrained=False)
    twice = copy.deepcopy(plain).save_memory()
    size = 16 if name == "tiny" else 64
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    kept: list[int] = []
    for net in (plain, twice):
        held: dict[int, int] = {}

        def pack(tensor: Tensor, held: dict[int, int] = held) -> Tensor:
            held[tensor.data_ptr()] = tensor.nelement()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = net.train()(x).square().mean()
        kept.append(sum(held.values()))
        loss.backward()
    for (key, a), b in zip(plain.state_dict().items(), twice.state_dict().values(), strict=True):
        assert torch.equal(a, b), key  # running statistics moved once
    for a, b in zip(plain.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    if name != "tiny":
        assert kept[1] < 0.5 * kept[0]


def test_a_transformer_can_compute_twice_and_alexnets_kind_of_timm_net_says_no() -> None:
    assert timm_build("vit_tiny_patch16_224", pretrained=False).save_memory().net.blocks is not None
    with pytest.raises(UserError, match=r"backbone\.checkpointing=true is not for tiny"):
        Backbone(
            OrderedDict(body=nn.Sequential(nn.Conv2d(3, 5, 1))), name="tiny", channels=5, inside="body"
        ).save_memory()
