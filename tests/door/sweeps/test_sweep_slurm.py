"""Two jobs on a Slurm of one node, one of which is put back into the queue while it trains."""

import csv
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.entry import ROOT, in_subprocess, small

from reid.data import toy as toy_set

pytest.importorskip("submitit", reason="submitit is not installed: pip install -e '.[slurm]'")
MISSING = [p for p in ("slurmctld", "slurmd", "munged") if not shutil.which(p, path=f"{os.environ['PATH']}:/usr/sbin")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"no {' '.join(MISSING)}: apt-get install slurm-wlm munge"),
]


def free_ports() -> int:
    """The first of four ports in a row that are very likely free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1] // 4 * 4


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("slurm")
    own = {"LOCAL_SLURM": str(folder), "LOCAL_SLURM_PORT": str(free_ports()), "LOCAL_SLURM_CPUS": "1"}
    script = ["bash", "scripts/local_slurm.sh"]
    started = subprocess.run([*script, "start"], cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True)
    try:
        if started.returncode:
            pytest.skip(f"Slurm does not start here: {started.stderr.strip()}")
        yield {**own, "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([*script, "stop"], cwd=ROOT, env={**os.environ, **own}, capture_output=True, check=False)


def test_a_job_that_is_queued_again_goes_on(slurm: dict[str, str], tmp_path: Path) -> None:
    toy, folder = tmp_path / "toy", tmp_path / "runs" / "sweep"
    toy_set.render(toy, train_identities=8, test_identities=4)
    first = folder / "000_seed0"

    def disturb() -> None:
        while not (first / "train_log.csv").exists() or (first / "train_log.csv").read_text().count("\n") < 3:
            time.sleep(0.1)
        number = json.loads((folder / "slurm.json").read_text())[first.name]
        subprocess.run(["scontrol", "requeue", number], env={**os.environ, **slurm}, check=True)

    threading.Thread(target=disturb, daemon=True).start()
    outcome = in_subprocess(
        "train.py", "-m", "hydra/launcher=slurm", "hydra.launcher.minutes=10", f"hydra.sweep.dir={folder}",
        *small(toy, tmp_path, "trainer.max_epochs=20", "seed=0,1"), env=slurm,
    ).check()  # fmt: skip
    assert "2 done" in outcome.out
    for run in (first, folder / "001_seed1"):
        with (run / "train_log.csv").open() as file:
            assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, 21))
    assert "resuming" in (first / "log.txt").read_text()
    assert "resuming" not in (folder / "001_seed1" / "log.txt").read_text()
