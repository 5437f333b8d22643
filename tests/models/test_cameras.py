"""Side information embeddings: what the camera of an image adds to its tokens."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch.nn import functional as F

from reid.errors import UserError
from reid.models.backbones.backbone import Backbone
from reid.models.backbones.timm_nets import build
from reid.models.embedder import Embedder
from reid.models.extract import embed_files

SIZE = (64, 32)
CAMIDS = torch.tensor([7, 2, 2, 5])


def vit(**options: object) -> Backbone:
    torch.manual_seed(0)
    return build("test_vit", pretrained=False, **options).eval()


@torch.no_grad()
def test_each_token_gets_the_embedding_of_its_camera_times_lambda() -> None:
    backbone, images = vit(cameras=[2, 5, 7], camera_weight=2.0, tokens="class"), torch.randn(4, 3, *SIZE)
    table, net = backbone.get_parameter("body.cameras"), backbone.net
    tokens = net._pos_embed(net.patch_embed(images))
    for token, camera in zip(tokens, (2, 0, 0, 1), strict=True):  # 7, 2, 2, 5 among 2, 5, 7
        token += 2.0 * table[camera]
    expected = net.norm(net.blocks(net.norm_pre(tokens)))[:, 0]
    torch.testing.assert_close(backbone(images, CAMIDS)[:, :, 0, 0], expected)


@torch.no_grad()
def test_embeddings_of_zero_change_nothing() -> None:
    sided, images = vit(cameras=[2, 5, 7]), torch.randn(4, 3, *SIZE)
    plain = vit()
    plain.net.load_state_dict(sided.net.state_dict())
    assert not torch.allclose(sided(images, CAMIDS), plain(images))
    sided.get_parameter("body.cameras").zero_()
    assert torch.equal(sided(images, CAMIDS), plain(images))


def test_a_camera_learns_from_its_own_images_alone() -> None:
    backbone = vit(cameras=[2, 5, 7]).train()
    backbone(torch.randn(2, 3, *SIZE), torch.tensor([7, 7])).square().sum().backward()
    gradient = backbone.get_parameter("body.cameras").grad
    assert gradient[:2].abs().max() == 0
    assert gradient[2].abs().max() > 0


def test_with_checkpointing_the_gradient_is_the_same() -> None:
    found = []
    for backbone in (vit(cameras=[1, 2]), vit(cameras=[1, 2]).save_memory()):
        backbone.train()(torch.ones(2, 3, *SIZE), torch.tensor([1, 2])).square().sum().backward()
        found.append(backbone.get_parameter("body.cameras").grad)
    torch.testing.assert_close(*found)


def test_cameras_are_needed_and_must_be_known() -> None:
    backbone, images = vit(cameras=[2, 5, 7]), torch.zeros(2, 3, *SIZE)
    with pytest.raises(UserError, match="give the camid of each image"):
        backbone(images)
    for strange in (1, 6, 9):
        with pytest.raises(UserError, match=rf"camera {strange} is none of those .*cameras=\[2, 5, 7\]"):
            backbone(images, torch.tensor([2, strange]))


@pytest.mark.parametrize("wrong", ["auto", [], [1, "2"]])
def test_cameras_are_a_list_of_camids(wrong: object) -> None:
    with pytest.raises(UserError, match="must be a list of camids"):
        vit(cameras=wrong)


def test_a_network_without_tokens_has_no_cameras() -> None:
    with pytest.raises(UserError, match="backbone.cameras is for plain vision transformers; resnet10t has no such"):
        build("resnet10t", pretrained=False, cameras=[1])


def test_files_are_embedded_with_their_cameras(tmp_path: Path) -> None:
    pixels = tiny.images(2, size=SIZE)
    for i, image in enumerate(pixels):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    files = sorted(tmp_path.iterdir())
    embedder = Embedder(vit(cameras=[1, 2]), image_size=SIZE, num_classes=2).eval()
    with torch.no_grad():
        features = embedder.bnneck(embedder.backbone(embedder._normalised(pixels), torch.tensor([2, 1])).mean((2, 3)))
    found = embed_files(embedder, files, camids=[2, 1])
    np.testing.assert_allclose(found, F.normalize(features), atol=1e-5)
    assert np.abs(found - embed_files(embedder, files, camids=[1, 2])).max() > 1e-3
    with pytest.raises(UserError, match="give camids, the camera of each file"):
        embed_files(embedder, files)
