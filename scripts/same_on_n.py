"""The same training on 1 and on N processes:  python scripts/same_on_n.py [--processes 1 2 4] [--steps 20]

Trains a small net on the toy set on the CPU in float32 with cross-entropy, batch-hard triplet loss and augmentation,
once on each number of processes, with BatchNorm synchronised and with its statistics frozen. Prints how far the loss
and the gradient of any step are from those of the first number.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid import streams


@streams.lasting()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="numbers of processes to compare")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--identities", type=int, default=8, help="identities of a batch, four images each")
    parser.add_argument("--root", default="data/toy", help="folder of the toy set, which is rendered on first use")
    given = parser.parse_args()
    if not 0 < min(given.processes) <= max(given.processes) <= given.identities // 2 or given.steps < 1:
        parser.error("--steps and --processes must be at least 1, and --identities at least two for each process")

    from reid.data.toy import read
    from reid.errors import UserError
    from reid.runs.same import Watched, compare, on_toy, table

    try:
        read(given.root)  # rendered by one process, where it is not there
    except UserError as error:
        parser.error(str(error))
    make = partial(on_toy, Path(given.root), given.identities)
    for frozen, words in ((False, "synchronised"), (True, "frozen")):
        rows = compare(Watched(make, given.steps, frozen), given.processes)
        print(f"\n{given.steps} steps, BatchNorm {words}: {table(rows, given.processes[0])}", flush=True)


if __name__ == "__main__":
    main()
