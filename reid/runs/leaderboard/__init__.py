"""All runs below a folder in tables: which settings won, by how much, at what cost."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reid.errors import UserError
from reid.report.leaderboard import Board, Going, Importance, Worth
from reid.report.text import number, percent, short
from reid.runs.leaderboard.configs import lacking
from reid.runs.leaderboard.folders import Lost, Run, Study, Unfinished, Waiting, read, run_folders
from reid.runs.leaderboard.tables import below, curves, tables

METRICS = ("mAP", "rank-1")


def leaderboard(
    roots: Sequence[Path], *, metric: str = "mAP", top: int | None = 20, ignored: Sequence[str] = ()
) -> Board:
    """Read the runs below ``roots``, which may still be written to, and set them side by side.

    Runs whose configs differ in nothing but the seed, and what ``configs.NOT_COUNTED`` lists, are one row. Rows of one
    table have the protocol, the data and the training identities in common.

    Args:
        metric: "mAP" or "rank-1", what rows are ordered and tested by.
        top: rows of each table that are tested against its best, which is what costs time; None for all.
        ignored: further config keys, or groups with a dot at the end, whose values do not make another experiment.

    Raises:
        UserError: a folder is missing, or there is no run in any.
    """
    for root in roots:
        if not root.is_dir():
            raise UserError(f"runs={root} is {'not a folder' if root.exists() else 'missing'}: give a folder of runs")
    told = ", ".join(map(str, roots))
    listed = list(run_folders(roots))
    if not listed:
        raise UserError(f"runs={told} has no run in it: train one, or give the folder that run.root named")
    found = [read(one) if isinstance(one, Path) else one for one in listed]
    root = roots[0] if len(roots) == 1 else Path()
    runs = [one for one in found if isinstance(one, Run)]
    lost = [one for one in found if isinstance(one, Lost)]
    ranked, differ = tables(runs, root, metric=metric, top=top, ignored=tuple(ignored))
    return Board(
        root=told,
        finished=len(runs),
        tables=ranked,
        why=differ,
        going=[
            *(_going(one, root) for one in found if isinstance(one, Unfinished)),
            *(Going(below(one.path, root), begun=False) for one in found if isinstance(one, Waiting)),
        ],
        failed=[(below(one.path, root), one.why) for one in lost if one.failed],
        damaged=[(below(one.path, root), one.why) for one in lost if not one.failed],
        studies=[_study(one, root) for one in found if isinstance(one, Study)],
        notes=_versions(runs),
    )


def _study(study: Study, root: Path) -> Worth:
    shares = sorted(study.shares.items(), key=lambda one: -one[1])
    found = [Importance(key, share) for key, share in shares]
    return Worth(below(study.path, root), study.metric.replace("_", " "), found, study.measure)


def _going(run: Unfinished, root: Path) -> Going:
    log = run.log
    loss, val = (log[name][np.isfinite(log[name])] for name in ("loss", "val_mAP"))
    last = [f"loss {short(loss[-1])}"] if len(loss) else []
    last += [f"val mAP {percent(val[-1])}"] if len(val) else []
    epochs = run.config["trainer.max_epochs"]
    return Going(
        folder=below(run.path, root),
        epoch=log.epochs,
        epochs=epochs if isinstance(epochs, int) else 0,
        last=", ".join(last),
        quiet=max(0.0, time.time() - run.written),
        curves=curves([log]),
        pruned=run.pruned,
    )


def _versions(runs: Sequence[Run]) -> list[str]:
    """What has to be said of runs that another version of this framework wrote."""
    older, keys = lacking([run.config for run in runs])
    notes = []
    if older:
        notes.append(
            f"{older} of {len(runs)} runs are of another version: their configs lack {', '.join(keys)}, a dash in the "
            f"tables, and they have rows of their own; ignore=[{','.join(keys)}] takes them as alike."
        )
    sizeless = sum(not math.isfinite(number(run.facts.get("parameters"))) for run in runs)
    if 0 < sizeless < len(runs):
        notes.append(f"{sizeless} of {len(runs)} runs are of a version that did not write the number of parameters.")
    return notes
