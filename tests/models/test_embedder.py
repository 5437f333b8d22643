from collections import OrderedDict

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from reid.errors import UserError
from reid.models.backbones import Backbone
from reid.models.embedder import Embedder

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


def colours_only(**head: str) -> Embedder:
    """A network whose map is the normalised image itself."""
    net = Backbone(OrderedDict(same=nn.Identity()), name="identity", channels=3, mean=MEAN, std=STD)
    return Embedder(net, image_size=tiny.SIZE, num_classes=2, **head).eval()


def pooled_by_hand(net: Embedder, images: torch.Tensor) -> np.ndarray:
    """Mean of the backbone's map in float64; [B, 3, H, W] -> [B, D]."""
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        return net.backbone((images.float() / 255 - mean) / std).double().mean((2, 3)).numpy()


def normed(x: np.ndarray, net: Embedder, mean: np.ndarray, var: np.ndarray) -> np.ndarray:
    """Batch normalisation without bias, from its weights."""
    return (x - mean) / np.sqrt(var + net.bnneck.eps) * net.bnneck.weight.detach().double().numpy()


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@torch.no_grad()
def test_pixels_are_normalised_by_the_mean_and_std_of_the_backbone() -> None:
    images = tiny.images(4)
    pixels = images.numpy().astype(np.float64) / 255
    expected = (pixels.mean((2, 3)) - np.array(MEAN)) / np.array(STD)
    np.testing.assert_allclose(colours_only().pooled(images), expected, rtol=1e-5, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("feature", ["after_bnneck", "before_bnneck"])
def test_embedding_equals_the_formula_on_the_weights(feature: str) -> None:
    net, images = tiny.embedder(feature=feature).eval(), tiny.images(5)
    expected = pooled_by_hand(net, images)
    if feature == "after_bnneck":
        expected = normed(
            expected, net, net.bnneck.running_mean.double().numpy(), net.bnneck.running_var.double().numpy()
        )
    out = net(images)
    assert out.dtype == torch.float32
    assert out.shape == (5, net.dim) == (5, 6)
    np.testing.assert_allclose(out, unit(expected), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["avg", "max", "avgmax", "gem"])
@pytest.mark.parametrize("feature", ["after_bnneck", "before_bnneck"])
def test_embeddings_have_length_one(pooling: str, feature: str) -> None:
    out = tiny.embedder(pooling=pooling, feature=feature).eval()(tiny.images(9))
    np.testing.assert_allclose(np.linalg.norm(out.double(), axis=1), 1, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
def test_classify_gives_the_feature_before_the_bnneck_and_logits_of_the_one_after(training: bool) -> None:
    net, images = tiny.embedder().train(training), tiny.images(6)
    copy = tiny.embedder().train(training)  # its BatchNorm moves as that of ``net`` does
    feature, logits, _ = net.classify(images)
    raw = pooled_by_hand(copy, images)
    statistics = raw if training else None
    mean = statistics.mean(0) if training else net.bnneck.running_mean.double().numpy()
    var = statistics.var(0) if training else net.bnneck.running_var.double().numpy()
    np.testing.assert_allclose(feature, raw, atol=1e-6)
    np.testing.assert_allclose(
        logits, normed(raw, net, mean, var) @ net.classifier.weight.double().numpy().T, atol=1e-5
    )


@torch.no_grad()
def test_bytes_and_floats_of_the_same_image_embed_alike() -> None:
    net, images = tiny.embedder().eval(), tiny.images(4)
    assert torch.equal(net(images), net(images.float() / 255))


@torch.no_grad()
def test_autocast_leaves_embeddings_in_float32_and_of_length_one() -> None:
    net, images = tiny.embedder().eval(), tiny.images(4)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(images)
    assert out.dtype == torch.float32
    np.testing.assert_allclose(np.linalg.norm(out.double(), axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(out, net(images), atol=0.05)


def test_bias_of_the_bnneck_stays_zero_and_the_classifier_has_none() -> None:
    net = tiny.embedder().train()
    assert net.classifier.bias is None
    assert not net.bnneck.bias.requires_grad
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)
    net.classify(tiny.images(4))[1].square().sum().backward()
    weight = net.bnneck.weight.clone()
    optimizer.step()
    assert not torch.equal(net.bnneck.weight, weight)
    assert torch.equal(net.bnneck.bias, torch.zeros(6))


def test_classifier_starts_small() -> None:
    weight = Embedder(tiny.backbone(100), image_size=tiny.SIZE, num_classes=300).classifier.weight.detach()
    assert weight.shape == (300, 100)
    assert float(weight.std()) == pytest.approx(0.001, rel=0.03)  # 30,000 draws: 0.4 % standard deviation
    assert abs(float(weight.mean())) < 5 * 0.001 / 30_000**0.5


@pytest.mark.parametrize("training", [True, False])
def test_building_tells_the_size_of_the_map_and_leaves_the_backbone_as_it_was(training: bool) -> None:
    backbone = tiny.backbone().train(training)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    net = Embedder(backbone, image_size=[24, 12], num_classes=2)
    assert net.map_size == (6, 3)  # stride 4
    assert net.image_size == (24, 12)
    assert all(m.training == training for m in backbone.modules())
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_weights_hold_no_normalisation() -> None:
    assert not {"mean", "std"} & set(colours_only().state_dict())  # they belong to the backbone, not to a checkpoint


def test_image_too_small_for_the_backbone_is_told() -> None:
    net = Backbone(OrderedDict(pool=nn.MaxPool2d(9)), name="wide", channels=3)
    assert Embedder(net, image_size=(16, 9), num_classes=2).map_size == (1, 1)
    with pytest.raises(UserError, match=r"image\.size=\[16,8\] does not fit this backbone: \[16,16\] would"):
        Embedder(net, image_size=(16, 8), num_classes=2)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"feature": "both"}, r"head\.feature=both is unknown: choose one of after_bnneck, before_bnneck"),
        ({"pooling": "sum"}, r"head\.pooling=sum is unknown"),
    ],
)
def test_unknown_options_are_refused(head: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Embedder(tiny.backbone(), image_size=tiny.SIZE, num_classes=2, **head)
