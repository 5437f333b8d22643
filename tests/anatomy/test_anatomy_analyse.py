import json
import math
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from reid.anatomy import Anatomy, analyse, table
from reid.anatomy.effective import pixels_holding
from reid.errors import UserError

COUNTS_ONLY: dict[str, Any] = {"effective_inputs": 0, "shifts": (), "batches": ()}
# torchvision's inception_v3 and googlenet publish counts without and with the auxiliary heads, of other image sizes.
PUBLISHED = (
    "alexnet", "vgg16", "resnet18", "resnet50", "resnext50_32x4d", "densenet121", "mobilenet_v2", "mobilenet_v3_large",
    "efficientnet_b0", "shufflenet_v2_x1_0", "squeezenet1_1", "convnext_tiny",
)  # fmt: skip


def on_meta(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, **options)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_those_torchvision_publishes(name: str) -> None:
    meta = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].meta
    anatomy = analyse(on_meta(name), (3, 224, 224), **COUNTS_ONLY)
    assert anatomy.parameters == meta["num_params"]
    assert round(anatomy.macs / 1e9, 3) == pytest.approx(meta["_ops"], abs=0.001)
    assert anatomy.counted_macs == anatomy.macs  # PyTorch's FlopCounterMode: no matrix product outside the layers
    assert anatomy.unused_parameters == 0


def test_figures_everyone_knows() -> None:
    known = {
        "resnet50": (25_557_032, 4.09), "vgg16": (138_357_544, 15.47), "mobilenet_v2": (3_504_872, 0.30),
        "densenet121": (7_978_856, 2.83),
    }  # fmt: skip
    for name, (parameters, gmacs) in known.items():
        anatomy = analyse(on_meta(name), (3, 224, 224), **COUNTS_ONLY)
        assert (anatomy.parameters, round(anatomy.macs / 1e9, 2)) == (parameters, gmacs)


def test_attention_has_products_outside_its_layers() -> None:
    anatomy = analyse(on_meta("vit_b_16"), (3, 224, 224), **COUNTS_ONLY)
    products = 12 * 2 * 197 * 197 * 768  # 12 blocks of QK' and AV over 197 tokens
    assert anatomy.counted_macs == anatomy.macs + products
    assert anatomy.counted_macs == pytest.approx(17.56e9, rel=1e-3)  # weights.meta["_ops"]
    assert anatomy.loose_parameters == 768 + 197 * 768  # the class token and the positions


def test_auxiliary_heads_are_unused() -> None:
    whole, without = (
        analyse(on_meta("inception_v3", init_weights=False, aux_logits=aux), (3, 299, 299), **COUNTS_ONLY)
        for aux in (True, False)
    )
    assert whole.parameters == 27_161_264
    assert whole.parameters - whole.unused_parameters == without.parameters
    assert whole.macs == without.macs


def test_shares() -> None:
    shares = {s.kind: s for s in analyse(on_meta("mobilenet_v2"), (3, 224, 224), **COUNTS_ONLY).shares}
    assert set(shares) == {"standard", "1x1", "depthwise", "linear", "other"}
    assert shares["standard"].parameters == 3 * 32 * 9
    assert shares["depthwise"].layers == 17
    assert shares["linear"].parameters == 1280 * 1000 + 1000
    widths = [32, 96, *[144] * 2, *[192] * 3, *[384] * 4, *[576] * 3, *[960] * 3]  # of its depthwise layers
    assert shares["depthwise"].parameters == 9 * sum(widths)
    assert shares["depthwise"].standard_parameters == 9 * sum(w * w for w in widths)
    for total in ("of_parameters", "of_macs", "of_activations"):
        assert sum(getattr(s, total) for s in shares.values()) == pytest.approx(1)


def test_transposed_convolution_costs_what_flop_counter_says() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, groups=2), nn.Conv2d(6, 2, (1, 3)), nn.Conv2d(2, 2, 1))
    anatomy = analyse(net, (4, 9, 9), **COUNTS_ONLY)
    assert anatomy.layers[0].macs == 9 * 9 * 4 * 3 * 9  # each input unit meets the kernels of its group once
    assert anatomy.macs == anatomy.counted_macs


def test_memory_by_hand() -> None:
    anatomy = analyse(small(), (3, 16, 16), **COUNTS_ONLY)
    image, fine = 3 * 16 * 16, 8 * 8 * 8
    assert [x.activations for x in anatomy.layers] == [fine] * 5 + [8, 8, 5]
    assert anatomy.layers[2].live_bytes == 4 * fine  # in place
    assert anatomy.inference_bytes == 4 * (image + fine)
    # The first convolution keeps the image, the normalisation its input, the in-place ReLU its output (which is the
    # next convolution's input), the second ReLU its output, the linear layer its input.
    assert anatomy.training_bytes == 4 * (image + fine + fine + fine + 8)


def test_shared_layers_count_once() -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    anatomy = analyse(nn.Sequential(conv, nn.ReLU(), conv), (4, 8, 8), **COUNTS_ONLY)
    assert anatomy.parameters == 4 * 4 * 9 + 4
    assert [x.parameters for x in anatomy.layers] == [148, 0, 0]
    assert anatomy.macs == 2 * 8 * 8 * 4 * 4 * 9
    assert anatomy.layers[2].field is not None
    assert anatomy.layers[2].field.size == (5, 5)
    assert anatomy.last_map is not None
    assert anatomy.last_map.shape == (4, 8, 8)


@pytest.mark.parametrize(
    ("name", "size", "layer", "got"),
    [("vgg16", 16, "features.30 (MaxPool2d)", "512 x 1 x 1"), ("alexnet", 24, "features.5 (MaxPool2d)", "192 x 2 x 2")],
)  # fmt: skip
def test_too_small_an_image_names_the_layer(name: str, size: int, layer: str, got: str) -> None:
    with pytest.raises(UserError) as error:
        analyse(on_meta(name), (3, size, size), **COUNTS_ONLY)
    assert f"an input of 3 x {size} x {size} is too small" in str(error.value)
    assert layer in str(error.value)
    assert got in str(error.value)


def test_other_misfits_name_the_layer_too() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(UserError, match=r"cannot take an input of 3 x 8 x 8: layer 2 \(Linear\) got 144"):
        analyse(net, (3, 8, 8), **COUNTS_ONLY)
    with pytest.raises(UserError, match=r"layer 0 \(Conv2d\) got 1 x 8 x 8"):
        analyse(net, (1, 8, 8), **COUNTS_ONLY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (3, 0, 8)}, "size="),
        ({"last": "7"}, "last='7' gives no feature map"),
        ({"effective_inputs": -1}, "effective_inputs"),
        ({"shifts": (0,)}, "shifts"),
        ({"batches": (0,)}, "batches"),
        ({"scenes": torch.zeros(1, 3, 16, 17)}, "scenes has shape"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        analyse(small(), **{"size": (3, 16, 16), **options})


def test_the_network_is_left_as_it_was() -> None:
    net = small().train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[3].weight.grad = torch.ones_like(net[3].weight)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state = torch.random.get_rng_state()
    analyse(net, (3, 16, 16), effective_inputs=1, shifts=(2,), batches=(1,), repeats=1)
    with pytest.raises(UserError):
        analyse(net, (4, 16, 16))
    assert [m.training for m in net] == [True, False, *[True] * 6]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert [p.requires_grad for p in net.parameters()] == [False, *[True] * 7]
    assert [p.grad is not None for p in net.parameters()] == [p is net[3].weight for p in net.parameters()]
    assert bool((net[3].weight.grad == 1).all())
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_same_seed_gives_the_same_figures() -> None:
    a, b, c = (analyse(small(), (3, 32, 32), batches=(), seed=s).to_dict() for s in (1, 1, 2))
    assert a == b
    assert a["effective"]["map"] != c["effective"]["map"]
    assert a["shifts"] != c["shifts"]
    assert json.loads(json.dumps(a)) == a


# The effective field


def chain(*kernels: int) -> nn.Module:
    layers = [nn.Conv2d(1, 1, k, padding=k // 2, bias=False) for k in kernels]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


def test_effective_field_of_a_linear_chain_is_a_convolution_of_boxes() -> None:
    """Luo et al., section 2.2: with all-ones kernels the gradient counts the paths, i.e. kernels convolved."""
    found = analyse(chain(3, 3, 5), (1, 21, 21), shifts=(), batches=()).effective
    assert found is not None
    line = np.convolve(np.convolve(np.ones(3), np.ones(3)), np.ones(5))
    expected = np.zeros((21, 21))
    expected[6:15, 6:15] = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(found.map, expected, atol=1e-7)
    assert found.unit == (10, 10)
    assert found.box == 81
    ranked = np.sort(expected.ravel())[::-1].cumsum()
    assert found.pixels == int((ranked < 0.95).sum()) + 1
    assert (found.of_field, found.of_image) == (found.pixels / 81, found.pixels / 441)


def test_effective_field_approaches_a_gaussian() -> None:
    """Luo et al.: of n 3x3 layers the standard deviation is sqrt(2 n / 3) while the theoretical size is 2 n + 1."""
    found = analyse(chain(*[3] * 20), (1, 65, 65), effective_inputs=1, shifts=(), batches=()).effective
    assert found is not None
    profile = found.map.sum(0)
    spread = math.sqrt(float((profile * (np.arange(65) - 32) ** 2).sum()))
    assert spread == pytest.approx(math.sqrt(20 * 2 / 3), rel=1e-4)
    # 95 % of a round Gaussian lie within 2.45 standard deviations; its discrete disc takes that many pixels.
    assert found.pixels == pytest.approx(math.pi * spread**2 * -2 * math.log(0.05), rel=0.05)
    assert found.box == 41**2


def test_box_is_cut_by_the_edges_and_a_gate_opens_it() -> None:
    def box(net: nn.Module) -> int | None:
        found = analyse(net, (1, 8, 8), shifts=(), batches=()).effective
        assert found is not None
        return found.box

    assert box(chain(11)) == 8 * 8  # of unit 4, rows -1..9
    assert box(chain(7)) == 7 * 7
    assert box(nn.Sequential(chain(3), nn.GroupNorm(1, 1))) == 64


def test_fewest_pixels() -> None:
    shares = np.array([0.05, 0.5, 0.15, 0.3])
    assert [pixels_holding(shares, h) for h in (0.4, 0.5, 0.79, 0.95, 1)] == [1, 1, 2, 3, 4]


# The rest


def whole_anatomy() -> Anatomy:
    return analyse(small(), (3, 32, 32), repeats=3)


def test_latency_and_table() -> None:
    anatomy = whole_anatomy()
    assert [t.batch for t in anatomy.latency] == [1, 32]
    for t in anatomy.latency:
        assert t.milliseconds > 0
        assert t.images_per_second == pytest.approx(1000 * t.batch / t.milliseconds)
    text = table(anatomy)
    conv = next(line for line in text.split("\n") if line.startswith("3 "))
    # layer, kind, kernel, stride, pad, dilation, groups, output, parameters, MMACs (8 * 8 * 9 * 256), field, jump
    assert conv.split() == ["3", "standard", "3", "1", "1", "1", "1", "8x16x16", "584", "0.1", "7", "2"]
    assert f"{3 * 8 * 9 + 8 + 16 + 584 + 45:,} parameters" in text
    assert all(word in text for word in ("95 %", "shift  32: ", "batch  32: ", "last map: 4, 8x16x16, field 7, jump 2"))


def test_last_map_may_be_named() -> None:
    anatomy = analyse(small(), (3, 16, 16), last="0", batches=(), shifts=())
    assert anatomy.last_map is not None
    assert anatomy.last_map.field is not None
    assert anatomy.last_map.field.size == (3, 3)
    assert anatomy.effective is not None
    assert anatomy.effective.pixels <= 9


def test_nothing_is_measured_on_meta_or_without_a_map() -> None:
    anatomy = analyse(small().to("meta"), (3, 16, 16))
    assert anatomy.effective is None
    assert anatomy.latency == anatomy.shifts == ()
    assert "meta" in anatomy.notes[0]
    flat = analyse(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), (3, 4, 4), batches=())
    assert flat.last_map is None
    assert "no feature map" in flat.notes[0]


def test_a_network_of_one_dimension() -> None:
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3))
    anatomy = analyse(net, (2, 40), shifts=(1, 2), batches=(1,), repeats=1)
    assert anatomy.effective is not None
    assert anatomy.effective.box == 5
    assert [s.moved for s in anatomy.shifts] == pytest.approx([1, 1])
    assert "(" not in table(anatomy).split("\n")[1]
