"""All runs of a folder side by side:  python scripts/leaderboard.py runs/ [output=[board.html,board.md,board.csv]]

Runs that differ in their seed alone are one row: mean and spread, interval, paired test against the best, cost. What
differs in protocol, data or training identities gets a table of its own. Reads run folders only, finished or not.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    from reid.door.leaderboard import leaderboard

    leaderboard(cfg)


if __name__ == "__main__":
    from reid.door.leaderboard import spelled

    sys.argv[1:] = spelled(sys.argv[1:])
    command.run(main, config_name="leaderboard")
