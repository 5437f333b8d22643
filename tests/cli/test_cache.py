"""Where decoded images are kept, and scripts/cache.py, as a user meets them."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, small
from data.pictures import pictures
from disks import disk

from reid.data.store import open_images
from reid.data.stores import stores

SCRIPT = "scripts/cache.py"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Four stores: opened now, ten days ago and forty days ago, and a part of one."""
    cache, records = tmp_path / "kép tár", pictures(tmp_path / "pictures")
    for height, days in ((11, 0), (12, 10), (13, 40), (14, 0)):
        open_images(records, (height, 8), cache=cache)
        (folder,) = cache.glob(f"{height}x*")
        os.utime(folder / "store.json", (time.time() - days * 86400,) * 2)
    folder.rename(folder.with_name(f"{folder.name}.partial-0123456789ab"))
    return cache


def there(cache: Path) -> list[str]:
    return sorted(path.name.partition("x")[0] for path in cache.iterdir())


def run(cache: Path, *given: str) -> Outcome:
    return in_process(SCRIPT, f"cache_dir='{cache}'", *given)


def test_all_are_listed(cache: Path) -> None:
    out = run(cache).check().out
    head, *lines, last = out.splitlines()
    assert head.split() == ["name", "images", "size", "last", "used", "state"]
    assert sorted(line.split("x")[0] for line in lines) == ["11", "12", "13", "14"]
    for line in lines:
        name, images, size, unit, day, _, state = line.split()
        assert (cache / name).is_dir()
        assert (images, size, unit) == ("7", "0.0", "MiB")
        assert state == ("partial" if name.startswith("14x") else "complete")
        days = {"12": 10, "13": 40}.get(name[:2], 0)
        assert day == time.strftime("%Y-%m-%d", time.localtime(time.time() - days * 86400))
    assert last == f"4 stores in {cache}, 0.0 MiB"
    assert there(cache) == ["11", "12", "13", "14"]


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    assert run(tmp_path / "none").check().out == f"no image stores in {tmp_path / 'none'}\n"
    assert run(tmp_path / "none", "remove=all").check().out == "freed   0.0 MiB\n"


@pytest.mark.parametrize(
    ("given", "stay"),
    [
        (["remove=unused"], ["11", "12"]),
        (["remove=unused", "older_than=5"], ["11"]),
        (["remove=unused", "older_than=0.5"], ["11"]),
        (["remove=unused", "older_than=50"], ["11", "12", "13"]),
        (["remove=all"], []),
    ],
)
def test_removal(cache: Path, given: list[str], stay: list[str]) -> None:
    gone = {s.name: s.size for s in stores(cache) if s.name[:2] not in stay}
    out = run(cache, *given).check().out
    assert there(cache) == stay
    for name in gone:
        assert f"removed {name} (0.0 MiB)\n" in out
    assert out.count("removed ") == len(gone)
    assert out.endswith("\nfreed   0.0 MiB\n")


def test_removal_by_name(cache: Path) -> None:
    (name,) = (path.name for path in cache.glob("12x*"))
    run(cache, f"remove={name}").check()
    assert there(cache) == ["11", "13", "14"]


def test_a_store_in_use_stays_and_is_told(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    images = open_images(pictures(tmp_path / "pictures"), (11, 8), cache=cache)
    out = run(cache, "remove=all").check().out
    (name,) = (path.name for path in cache.iterdir())
    assert out == f"left    {name}, which a run has open\nfreed   0.0 MiB\n"
    assert len(images) == 7


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["remove=256x128"], "error: remove=256x128 is not all, unused or a store that is there: "),
        (["remove=unusd"], "error: remove=unusd is not all, unused or a store that is there: did you mean unused?"),
        (["remove=true"], "error: remove=True must be text or null"),
        (["older_than=-1"], "error: older_than=-1 must be at least 0"),
        (["older_than=month"], "error: older_than=month must be a number"),
        (["older=3"], "error: unknown config key 'older': did you mean older_than? python scripts/cache.py --help"),
        (["cache_dir=train.py"], "error: cache_dir=train.py is not a folder"),
    ],
)
def test_options_that_do_not_fit(cache: Path, given: list[str], says: str) -> None:
    own = [] if given[0].startswith("cache_dir") else [f"cache_dir='{cache}'"]
    (line,) = in_process(SCRIPT, *own, *given).check(2).err.splitlines()
    assert line.startswith(says)
    assert there(cache) == ["11", "12", "13", "14"]


def test_a_training_on_images_in_memory_is_the_same_and_writes_no_store(
    toy: Path, finished: Outcome, tmp_path: Path
) -> None:
    given = small(toy, tmp_path, "augment._target_=cli.stopping.Stopping", "logger=tensorboard", "image.cache=memory")
    outcome = in_process("train.py", *given).check()
    assert not (tmp_path / "cache").exists()
    numbers = [json.loads((run / "metrics.json").read_text()) for run in (finished.run, outcome.run)]
    assert numbers[0]["mAP"] == pytest.approx(numbers[1]["mAP"], abs=1e-6)
    told = [line for line in outcome.err.splitlines() if "decoded images take" in line]
    assert len(told) == 3  # train, query and gallery, each once though judged later
    assert in_process("eval.py", f"run={outcome.run}").check().out.count("the same as in") == 1


def test_a_run_of_older_days_whose_config_says_true_is_judged_and_goes_on(finished: Outcome, tmp_path: Path) -> None:
    run = shutil.copytree(finished.run, tmp_path / "run")
    config = run / "config.yaml"
    assert "  cache: disk\n" in config.read_text()
    config.write_text(config.read_text().replace("  cache: disk\n", "  cache: true\n"))
    cache = f"image.cache_dir={tmp_path / 'cache'}"
    assert "the same as in" in in_process("eval.py", f"run={run}", cache).check().out
    assert len(stores(tmp_path / "cache")) == 2
    in_process("train.py", f"resume={run}", "trainer.max_epochs=3", cache).check()
    assert len(stores(tmp_path / "cache")) == 3


def test_a_disk_that_is_too_small_is_told_before_a_run_begins(toy: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 64) as full:
        outcome = in_process("train.py", *small(toy, tmp_path, f"image.cache_dir={full}")).check(2)
        (line,) = outcome.err.splitlines()
        assert line.startswith("error: the image store of ")
        assert f"{full} has 0.1 MiB free" in line
        assert list(full.iterdir()) == []
    assert not (tmp_path / "runs").exists()
