"""One PNG of a run's ranked results, for a paper or a README.

python scripts/ranking_picture.py RUN OUT.png [--queries 6] [--columns 10]
"""

import argparse
import sys
from pathlib import Path

import torch
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door.build import read_split
from reid.errors import UserError
from reid.models.checkpoint import load_trained
from reid.report import save_ranking_png
from reid.runs.folder import RunFolder
from reid.runs.judge import Judging, judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--queries", type=int, default=6)
    parser.add_argument("--columns", type=int, default=10)
    a = parser.parse_args()
    run = RunFolder.open(a.run, option="run")
    trained = load_trained(run.reported()[0], option="run", trust=True)
    config = OmegaConf.load(run.config)
    judgement = judge(
        trained.embedder,
        read_split(config.dataset, seed=0, whole=True)[0],
        Judging(
            cache_dir=Path(config.image.cache_dir) if config.image.cache else None,
            skip_unreadable=config.data.skip_unreadable,
            device=torch.device("cpu"),
            bf16=trained.spec["bf16"],
            **trained.spec["evaluation"],
        ),
    )
    save_ranking_png(a.out, judgement.ranked(a.queries), a.columns)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
