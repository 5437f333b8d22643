"""One PNG of a run's ranked results, for a paper or a README.

python scripts/ranking_picture.py RUN OUT.png [--queries 6] [--columns 10]
"""

import argparse
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid import streams
from reid.door.command import CONFIGS
from reid.door.judging import model_arguments
from reid.errors import UserError
from reid.report import save_ranking_png


@streams.lasting()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--queries", type=int, default=6)
    parser.add_argument("--columns", type=int, default=10)
    a = parser.parse_args()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        cfg = compose("eval")
        cfg.run = str(a.run)
        run = model_arguments(cfg)  # as eval.py run=RUN judges it
    judgement = run["targets"][0].judge(run["trained"].embedder, run["how"])
    save_ranking_png(a.out, judgement.ranked(a.queries), a.columns)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
