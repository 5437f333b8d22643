"""Does a killed run end as one left alone?  python scripts/chaos.py [--kills 20] [--seed 0] [--folder F] [KEY=VALUE]

Trains the toy set for some seconds, then again while the process is killed at random moments, also while it writes a
checkpoint, and each time started anew by the same command. Compares weights, optimiser, moving average, results and
logs bit for bit. Further options go to train.py. Exit code: 0 all the same, 1 a difference, 2 bad input.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same sums each time
sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid import streams
from reid.errors import UserError


@streams.lasting()
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keeps the runs and what they said; it must not exist")
    parser.add_argument("given", nargs="*", metavar="key=value")
    asked = parser.parse_args()
    import reid.door.arguments
    import reid.runs.train  # noqa: F401  (both before the processes are forked, to save the time)
    from reid.runs.chaos import survive

    with tempfile.TemporaryDirectory() as kept:
        folder = asked.folder or Path(kept) / "chaos"
        try:
            folder.mkdir(parents=True)
            same = survive(folder.resolve(), asked.kills, asked.seed, asked.given, lambda line: print(line, flush=True))
        except FileExistsError:
            parser.error(f"--folder {folder} exists: choose another")
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print("the same in every bit" if same else "NOT the same")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
