"""Run folders in every state, whole or not, as the leaderboard takes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from board_runs import AP, only, write

from reid.errors import UserError
from reid.runs.leaderboard import leaderboard


def test_runs_in_every_state(tmp_path: Path) -> None:
    write(tmp_path / "done", AP)
    for name in ("going", "pruned"):
        run = write(tmp_path / name, AP, epochs=2)
        (run / "metrics.json").unlink()
    (tmp_path / "pruned" / "trial.json").write_text(json.dumps({"state": "pruned"}))
    with (tmp_path / "going" / "train_log.csv").open("a") as file:
        file.write("3,30,1e-3,0.1")  # being written
    (tmp_path / "new" / "checkpoints").mkdir(parents=True)
    for name in ("failed", "requeued"):
        run = write(tmp_path / name, AP) if name == "requeued" else tmp_path / name
        run.mkdir(exist_ok=True)
        (run / "failed.json").write_text(json.dumps({"error": "backbone=resnet1 is unknown", "overrides": []}))
    jobs = [{"folder": name} for name in ("000_waits", "001_began")]
    (tmp_path / "sweep" / "001_began" / "checkpoints").mkdir(parents=True)
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    board = leaderboard([tmp_path])
    waiting = board.going.pop()
    assert (waiting.folder, waiting.state) == ("sweep/000_waits", "not begun")
    assert board.damaged.pop()[0] == "sweep/001_began"
    assert [(g.folder, g.epoch, g.epochs, g.pruned) for g in board.going] == [
        ("going", 2, 3, False),
        ("pruned", 2, 3, True),
    ]
    assert board.going[0].last == "loss 2"
    assert board.failed == [("failed", "backbone=resnet1 is unknown")]
    assert board.damaged == [("new", "config.yaml is missing: it has only just begun, or is not whole")]
    assert {f for table in board.tables for row in table.rows for f in row.folders} <= {"done", "requeued"}
    assert board.summary == f"6 runs in {tmp_path}: 2 finished, 2 unfinished, 1 failed, 1 unreadable"


@pytest.mark.parametrize("file", ["config.yaml", "metrics.json", "data.json", "train_log.csv", "per_query.csv"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_never_ends_it(file: str, part: float, tmp_path: Path) -> None:
    write(tmp_path / "best", np.minimum(1, AP + 0.1), changes={"backbone__name": "best"})
    run = write(tmp_path / "cut", AP, changes={"backbone__name": "cut"})
    whole = (run / file).read_bytes()
    (run / file).write_bytes(whole[: int(part * len(whole))])
    board = leaderboard([tmp_path])
    assert sum(len(t.rows) for t in board.tables) + len(board.damaged) == 2
    if file in ("metrics.json", "data.json"):
        assert board.damaged[0][0] == "cut"
        assert board.damaged[0][1].startswith(f"{file} is damaged or cut short (")
    elif file == "per_query.csv" and part < 0.9:
        (_, row) = only(board).rows
        assert row.versus is not None
        assert row.versus.why


@pytest.mark.parametrize("file", ["config.yaml", "data.json", "train_log.csv", "per_query.csv"])
def test_a_missing_file_is_told(file: str, tmp_path: Path) -> None:
    write(tmp_path / "best", np.minimum(1, AP + 0.1), changes={"backbone__name": "best"})
    (write(tmp_path / "run", AP) / file).unlink()
    board = leaderboard([tmp_path])
    if file in ("config.yaml", "data.json"):
        assert board.damaged[0][0] == "run"
        assert file in board.damaged[0][1]
    elif file == "train_log.csv":
        assert np.isnan(only(board).rows[1].hours)
    else:
        assert "per_query.csv cannot be read" in only(board).notes[0]


@pytest.mark.parametrize("content", ["[]", "3", "{}", '{"mAP": "high", "rank-1": 1}', '{"targets": 3, "mAP": 1}'])
def test_other_json_is_told(content: str, tmp_path: Path) -> None:
    run = write(tmp_path / "run", AP)
    (run / "metrics.json").write_text(content)
    (lost,) = leaderboard([tmp_path]).damaged
    assert "metrics.json" in lost[1]


def test_runs_of_two_versions_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "new", AP)
    older = {"eval__pool": ..., "image__cache": ..., "seed": 1}
    write(tmp_path / "old", AP, changes=older, numbers={"parameters": None})
    board = leaderboard([tmp_path])
    assert only(board).columns == {"eval.pool": "pool"}
    assert sorted(row.settings["eval.pool"] for row in only(board).rows) == ["none", "–"]
    assert board.notes[0].startswith("1 of 2 runs are of another version: their configs lack eval.pool, a dash")
    assert "number of parameters" in board.notes[1]
    assert len(only(leaderboard([tmp_path], ignored=["eval.pool"])).rows) == 1


def test_links_and_depth(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "er" / "and" / "deeper" / "run", AP)
    (tmp_path / "latest").symlink_to(tmp_path / "deep" / "er" / "and" / "deeper" / "run")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    assert leaderboard([tmp_path, tmp_path / "deep"]).finished == 1


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no run in it"):
        leaderboard([tmp_path])
    with pytest.raises(UserError, match="is missing"):
        leaderboard([tmp_path / "none"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        leaderboard([tmp_path / "file"])
