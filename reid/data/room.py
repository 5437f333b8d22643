"""Is there room for decoded images? Told before they are made."""

import re
import shutil
import sys
from pathlib import Path

from reid.errors import UserError

_LARGE = 2**30  # bytes from which on the size is told


def room_on_disk(folder: Path, images: int, needed: int) -> None:
    """UserError if the disk of ``folder`` has no ``needed`` bytes free for some images; a large need is told."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"the image store of {images:,} images needs {spelled(needed)} and {folder} has {spelled(free)} free: "
            "free some space, choose another image.cache_dir, or set image.cache=memory or image.cache=false"
        )
    if needed >= _LARGE:
        _tell(f"{images:,} decoded images take {spelled(needed)} in {folder}, which has {spelled(free)} free")


def room_in_memory(images: int, needed: int) -> None:
    """UserError if ``needed`` bytes for some images are more than the memory that is available; the need is told."""
    free = available_memory()
    if free is not None and needed > free:
        raise UserError(
            f"image.cache=memory needs {spelled(needed)} for {images:,} images and {spelled(free)} are available: "
            "set image.cache=disk or image.cache=false"
        )
    _tell(f"{images:,} decoded images take {spelled(needed)} of memory")


def available_memory() -> int | None:
    """Bytes that programs can have without swapping, where the system tells (Linux)."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def spelled(size: int) -> str:
    """Bytes in binary units.

    >>> spelled(63_569_920), spelled(3 * 2**30)
    ('60.6 MiB', '3.0 GiB')
    """
    scale, unit = (2**30, "GiB") if size >= 2**30 else (2**20, "MiB")
    return f"{size / scale:.1f} {unit}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
