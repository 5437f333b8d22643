"""What is in a folder of checkpoints."""

from pathlib import Path
from typing import Any

import torch


def files(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)
