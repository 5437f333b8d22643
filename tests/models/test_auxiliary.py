"""Classifiers on the way, in GoogLeNet."""

import pytest
import torch
from torch.nn import functional as F

from reid.errors import UserError
from reid.losses.cross_entropy import CrossEntropy
from reid.losses.objective import Objective
from reid.models.auxiliary import Auxiliary
from reid.models.backbones.torchvision_nets import build
from reid.models.embedder import Embedder

SIZE = (64, 32)


class Length(torch.nn.Module):
    def forward(self, feature: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return feature.square().mean()


def googlenet(auxiliary: bool = True) -> Embedder:
    torch.manual_seed(0)
    backbone = build("googlenet", pretrained=False, auxiliary=auxiliary)
    return Embedder(backbone, image_size=SIZE, num_classes=5)


def test_as_many_weights_as_in_the_paper() -> None:
    """1x1 to 128, 2,048 to 1,024 to 1,000: Szegedy et al. 2015, section 5; two more a normalised channel."""
    for channels in (512, 528):
        found = sum(p.numel() for p in Auxiliary(channels, 1000).parameters())
        assert found == channels * 128 + 2 * 128 + (2048 + 1) * 1024 + (1024 + 1) * 1000


def test_the_classifiers_see_the_maps_after_4a_and_4d() -> None:
    net, seen = googlenet(), {}
    for name in ("inception4a", "inception4d"):
        net.backbone.get_submodule(name).register_forward_hook(lambda _, __, out, n=name: seen.__setitem__(n, out))
    net.sides.eval()  # so that they can be asked again: no dropout, no statistics of this batch
    images = torch.rand(4, 3, *SIZE)
    _, _, side = net.classify(images)
    assert len(side) == 2
    for logits, classifier, maps in zip(side, net.sides, seen.values(), strict=True):
        assert logits.shape == (4, 5)
        torch.testing.assert_close(logits, classifier(maps))


def test_judging_and_the_main_branch_are_those_of_the_plain_network() -> None:
    net, plain, images = googlenet().eval(), googlenet(False).eval(), torch.rand(3, 3, *SIZE)
    own = {k: v for k, v in net.state_dict().items() if not k.startswith("sides.")}
    plain.load_state_dict(own)
    with torch.no_grad():
        assert torch.equal(net(images), plain(images))
        for found, expected in zip(net.classify(images)[:2], plain.classify(images)[:2], strict=True):
            torch.testing.assert_close(found, expected)
        assert plain.classify(images)[2] == []


def test_their_losses_count_three_tenths_each() -> None:
    torch.manual_seed(1)
    feature, logits, labels = torch.randn(6, 4), torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    side = [torch.randn(6, 5, requires_grad=True), torch.randn(6, 5)]
    terms = {
        "id": {"loss": CrossEntropy(0.0), "input": "logits", "weight": 2.0},
        "length": {"loss": Length(), "input": "feature", "weight": 1.0},
    }
    total, told = Objective(terms)(feature, logits, labels, side)
    main, first, second = (F.cross_entropy(x, labels) for x in (logits, *side))
    torch.testing.assert_close(total, 2 * (main + 0.3 * first + 0.3 * second) + feature.square().mean())
    torch.testing.assert_close(told["id"], main)
    total.backward()
    assert side[0].grad.abs().max() > 0
    without = Objective(terms, auxiliary=0.0)(feature, logits, labels, side)[0]
    torch.testing.assert_close(without, 2 * main + feature.square().mean())


def test_only_googlenet_has_them_and_not_with_checkpointing() -> None:
    with pytest.raises(UserError, match="backbone.auxiliary is for googlenet; resnet18 has no such option"):
        build("resnet18", pretrained=False, auxiliary=True)
    with pytest.raises(UserError, match="do not go together"):
        build("googlenet", pretrained=False, auxiliary=True).save_memory()
