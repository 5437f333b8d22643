"""Sixteen workers where the system gives little: 256 open files, 1 MiB of shared memory."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
EPOCHS = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
from reid.data.datamodule import ReIDData
from reid.data.records import Record, Split

folder = Path(sys.argv[1])
train = tuple(Record(p, int(p.name.split("_")[0]), 1) for p in sorted(folder.glob("*.png")))
split = Split("many", folder, train, (), ())
for cache in (folder / "cache", "memory", None):
    data = ReIDData(split, image_size=(128, 64), identities=2, images=2, workers=16, cache=cache)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1)
    loader = data.train_dataloader()
    for number in range(2):
        loader.batch_sampler.set_epoch(number)
        for images, labels, _ in loader:
            assert images.shape == (4, 3, 128, 64) and images.is_contiguous(memory_format=torch.channels_last)
            assert images[:, 0].flatten(1).float().mean(1).tolist() == labels.tolist()  # red is who it is
print("done")
"""


def limited(folder: Path, *before: str) -> subprocess.CompletedProcess:
    for pid in range(90):
        for n in range(2):
            Image.new("RGB", (64, 128), (pid, 0, n)).save(folder / f"{pid}_{n}.png")
    return subprocess.run(
        [*before, sys.executable, "-W", "ignore", "-c", EPOCHS, str(folder)],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=170,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
    )


@pytest.mark.slow
def test_few_open_files(tmp_path: Path) -> None:
    done = limited(tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.slow
def test_little_shared_memory(tmp_path: Path) -> None:
    own = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("needs leave to mount a disk")
    done = limited(tmp_path, *own)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
