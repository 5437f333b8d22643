"""A composed leaderboard config -> the runs read, told and written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from reid import files
from reid.door import check
from reid.errors import UserError, unknown
from reid.report.leaderboard_text import leaderboard_csv, leaderboard_markdown, leaderboard_text
from reid.runs.leaderboard import METRICS
from reid.runs.leaderboard import leaderboard as read

_KINDS = (".html", ".md", ".csv")


def leaderboard(cfg: DictConfig) -> None:
    """Print the tables of the runs that the config names, and write the files that it asks for."""
    runs, outputs = _listed("runs", cfg.runs), _listed("output", cfg.output)
    ignored = _listed("ignore", cfg.ignore)
    check.value("top", cfg.top, int | None, 1)
    if cfg.metric not in METRICS:
        raise unknown("metric", cfg.metric, METRICS)
    if not runs:
        raise UserError("runs=[] names no folder: write runs=FOLDER")
    targets = [output_file(one) for one in outputs]
    board = read([Path(r).expanduser() for r in runs], metric=cfg.metric, top=cfg.top, ignored=ignored)
    print(leaderboard_text(board, top=cfg.top), flush=True)
    for target in targets:
        if target.suffix.lower() == ".csv":
            files.write(target, leaderboard_csv(board))
        elif target.suffix.lower() == ".md":
            files.write(target, leaderboard_markdown(board))
        else:
            from reid.report.leaderboard_page import leaderboard_page

            files.write(target, leaderboard_page(board))
    if targets:
        print(f"\nwritten  {', '.join(map(str, targets))}")


def spelled(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra takes it: words that are no key=value and no option are folders of runs.

    >>> spelled(["my runs", "top=5", "runs/a"])
    ["runs=['my runs','runs/a']", 'top=5']
    """
    folders = [a for a in arguments if "=" not in a and not a.startswith("-")]
    rest = [a for a in arguments if a not in folders]
    if not folders:
        return rest
    quoted = ",".join("'" + folder.replace("\\", "\\\\").replace("'", "\\'") + "'" for folder in folders)
    return [f"runs=[{quoted}]", *rest]


def output_file(given: str) -> Path:
    """A file of one of the kinds; UserError unless its folder exists."""
    path = Path(given).expanduser()
    if path.suffix.lower() not in _KINDS or path.is_dir() or not path.parent.is_dir():
        raise UserError(
            f"output={given} must be a {', '.join(_KINDS[:-1])} or {_KINDS[-1]} file in a folder that exists"
        )
    return path


def _listed(key: str, given: Any) -> list[str]:
    """One text or a list of them as a list; none for null."""
    values = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_list(given) else [given]
    if not isinstance(values, list) or not all(v is None or isinstance(v, str) for v in values):
        raise UserError(f"{key}={given} must be a text or a list of texts, as {key}=[a,b]")
    return [v for v in values if v]
