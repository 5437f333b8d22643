"""Ways to spoil what a user has: each gives or is a function of the folder ``work`` with ``set`` and ``run`` in it."""

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import torch


def cut(file: str) -> Callable[[Path], object]:
    def prepare(work: Path) -> None:
        (path,) = sorted(work.glob(file))[:1]
        os.truncate(path, path.stat().st_size // 2)

    return prepare


def flip(file: str) -> Callable[[Path], object]:
    """Change a bit in the midst of a file, where a checkpoint has the numbers of some tensor."""

    def prepare(work: Path) -> None:
        content = bytearray((work / file).read_bytes())
        content[len(content) // 2] ^= 1
        (work / file).write_bytes(content)

    return prepare


def remove(pattern: str) -> Callable[[Path], object]:
    def prepare(work: Path) -> None:
        found = list(work.glob(pattern))
        assert found, pattern
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def rename(folder: str, name: Callable[[str], str]) -> Callable[[Path], object]:
    def prepare(work: Path) -> None:
        for path in (work / "set" / folder).iterdir():
            path.rename(path.with_name(name(path.name)))

    return prepare


def gallery_without_queried_people(work: Path) -> None:
    for path in (work / "set" / "bounding_box_test").iterdir():
        if not path.name.startswith(("-1_", "0000_")):
            path.unlink()


def gallery_without_other_cameras(work: Path) -> None:
    """Every person keeps pictures of one camera in the gallery, and queries of that camera."""
    camera = {}
    for path in sorted((work / "set" / "query").iterdir()):
        pid, cam = path.name.split("_")[0], path.name.split("_")[1][:2]
        if camera.setdefault(pid, cam) != cam:
            path.unlink()
    for path in (work / "set" / "bounding_box_test").iterdir():
        pid, cam = path.name.split("_")[0], path.name.split("_")[1][:2]
        if pid in camera and camera[pid] != cam:
            path.unlink()


def save(content: object, file: str) -> Callable[[Path], object]:
    return lambda work: torch.save(content, work / file)


def write(file: str, content: str = "not what it should be") -> Callable[[Path], object]:
    return lambda work: (work / file).write_text(content)


def loop(file: str) -> Callable[[Path], object]:
    """A link that leads to itself."""
    return lambda work: (work / file).symlink_to(work / file)


class RunsCode:
    """What an attacker puts into a pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def pickled_attack(work: Path) -> None:
    with (work / "net.pth").open("wb") as file:
        pickle.dump({"features.0.0.weight": RunsCode(work / "ran")}, file)


def saved_attack(work: Path) -> None:
    torch.save({"state_dict": RunsCode(work / "ran")}, work / "net.pth")
