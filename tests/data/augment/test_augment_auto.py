import torch
from data.augment.drawn import MEAN_COLOUR, close_to_binomial, differs, noise, seeded
from torchvision.transforms.v2 import AutoAugment, InterpolationMode

from reid.data.augment import random_autoaugment
from reid.data.augment.autoaugment import autoaugment


def test_an_image_gets_the_policy_that_its_seed_draws() -> None:
    policy = AutoAugment(interpolation=InterpolationMode.BILINEAR, fill=[float(v) for v in MEAN_COLOUR])
    images = noise(60, 32, 16)
    for seed, image in enumerate(images):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            expected = policy(image)
        assert torch.equal(autoaugment(image, seed), expected)
    assert len({seed for seed, image in enumerate(images) if not torch.equal(autoaugment(image, seed), image)}) > 40


def test_each_image_is_changed_with_the_probability() -> None:
    images = noise(500, 32, 24)
    every = random_autoaugment(images, 1.0, seeded())
    some = random_autoaugment(images, 0.3, seeded())  # the same policies
    able = differs(every, images)  # some policies leave an image as it is
    assert able.float().mean() > 0.7
    changed = differs(some, images)
    assert torch.equal(some[changed], every[changed])
    assert close_to_binomial(int(changed.sum()), int(able.sum()), 0.3)
    assert not changed[~able].any()


def test_the_stream_of_the_training_step_is_left_alone() -> None:
    images = noise(40, 16, 8)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = random_autoaugment(images, 0.8, seeded())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)  # nor does it count
    assert torch.equal(random_autoaugment(images, 0.8, seeded()), first)
