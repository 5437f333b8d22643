"""A set of tracks from the command line: MARS in miniature, of the pictures of the toy set."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from cli.entry import Outcome, in_process, small
from cli.outcome import numbers
from mars import make_mars, names

from reid.data.toy import read as read_toy


@pytest.fixture(scope="module")
def mars(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The set, and how many of its tracks are queries: the first of each person."""
    split, places, tracks = read_toy(toy, train_identities=8, test_identities=4), {}, {}
    for part, records in (("train", split.train), ("test", split.query + split.gallery)):
        of: dict[tuple[str, int], list[Path]] = defaultdict(list)
        for r in records:
            of["00-1" if r.pid < 0 else f"{r.pid:04d}", r.camid].append(r.path)
        places[part] = list(of.values())
        tracks[part] = [(person, camera, len(files)) for (person, camera), files in of.items()]
    people = [person for person, _, _ in tracks["test"]]
    queries = [people.index(person) for person in sorted(set(people) - {"00-1", "0000"})]
    root = make_mars(tmp_path_factory.mktemp("tracks") / "MARS", tracks["train"], tracks["test"], queries)
    for part, files in places.items():
        for own, frames in zip(files, names(tracks[part]), strict=True):
            for file, frame in zip(own, frames, strict=True):
                shutil.copy(file, root / f"bbox_{part}" / frame[:4] / frame)
    return root, len(queries)


def test_a_run_on_tracks_is_judged_by_tracks_and_so_again(mars: tuple[Path, int], toy: Path, tmp_path: Path) -> None:
    root, queries = mars
    given = ["dataset=mars", f"dataset.root={root}", "trainer.max_epochs=1"]
    run = in_process("train.py", *small(toy, tmp_path, *given)).check().run
    found = numbers(run)
    assert found["queries"] == queries
    assert found["protocol"].endswith("feature: mean over the track's frames")
    cache = f"image.cache_dir={tmp_path / 'cache'}"
    assert "the same as in" in in_process("eval.py", f"run={run}", cache).check().out
    frames = in_process("eval.py", f"run={run}", "eval.pool=none", cache).check().out
    assert "judged by other rules" in frames


def test_another_set_says_itself_whether_tracks_are_judged(
    mars: tuple[Path, int], finished: Outcome, tmp_path: Path
) -> None:
    root, queries = mars
    out = tmp_path / "out.json"
    given = [f"run={finished.run}", "dataset=mars", f"dataset.root={root}", f"image.cache_dir={tmp_path / 'cache'}"]
    in_process("eval.py", *given, f"output={out}").check()
    tracks = json.loads(out.read_text())
    assert tracks["queries"] == queries
    assert "mean over the track's frames" in tracks["protocol"]
    in_process("eval.py", *given, f"output={out}", "eval.pool=none").check()
    frames = json.loads(out.read_text())
    assert frames["queries"] > queries
    assert "frames" not in frames["protocol"]
    both = f"eval.targets=[{{name:mars,root:{root}}},{{dataset:mars,name:frames,root:{root},pool:none}}]"
    listed = [given[0], both, given[-1], f"output={out}"]
    in_process("eval.py", *listed).check()
    for alone, target in zip((tracks, frames), json.loads(out.read_text())["targets"], strict=True):
        assert {**alone, **target, "dataset": "mars", "gallery": 0} == {**alone, "dataset": "mars", "gallery": 0}
    in_process("eval.py", *listed, "eval.translate=true").check(2)
    refused = in_process("eval.py", *given, "eval.translate=true").check(2)
    assert refused.err.splitlines()[-1] == (
        "error: eval.translate is for images, not for tracks: leave it out, or add eval.pool=none"
    )
