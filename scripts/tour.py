"""Trains many networks for a few epochs each, one after the other, and prints one table of them.

python scripts/tour.py [backbones=[resnet18,osnet_x1_0]] [folder=runs/tour] [any override of train.py ...]

A quick look that is the same for all: from scratch, on a small toy set, with the one setting of USUAL below, of which
an override replaces what it names. Too short for a ranking: after 100 steps those without batch normalisation are far
ahead, MobileNetV2 and Swin at twice the 6.5 % mAP of an untrained net. A network that fails is a row that says why.
Started again with the same folder and options, a tour that was stopped goes on where it was. Exit code 0: all have
numbers; 1: some failed; 2: an input that no network takes.
"""

import subprocess
import sys
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid import streams
from reid.door.command import CONFIGS
from reid.errors import UserError, unknown
from reid.runs.tour import TRAIN, table, tour

COURSE = (
    "alexnet", "alexnet_grouped", "zfnet", "vgg16", "googlenet", "inception_v2", "inception_v3", "resnet50",
    "densenet121",
)  # fmt: skip
OTHERS = (
    "resnet18", "resnet50_ibn_a", "se_resnet50", "resnext50_32x4d", "osnet_x1_0", "osnet_ain_x1_0", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny", "vit_small", "swin_tiny",
)  # fmt: skip
USUAL = (
    "dataset.root=data/toy_tour", "dataset.train_identities=40", "dataset.test_identities=20",
    "image.size=[128,80]",  # the smallest that Inception-v3 takes
    "data.identities=4", "data.images=2",  # many steps of few images: 100 steps, 800 images
    "optimizer=adam", "trainer.max_epochs=10", "logger=none",
    "backbone.pretrained=false",
)  # fmt: skip
NOT_TAKEN = {"backbone": "backbones=[...]", "run": "folder=FOLDER", "resume": "folder=FOLDER", "hydra": "train.py"}


@streams.lasting()
def main(arguments: list[str]) -> int:
    names, folder, given = read(arguments)
    known = sorted(f.stem for f in (CONFIGS / "backbone").glob("*.yaml"))
    for name in names:
        if name not in known:
            raise unknown("backbones", name, known)
    options = {name: overrides(name, folder, given) for name in names}
    check(options)
    print(f"{len(names)} networks into {folder}: {' '.join([*missing(USUAL, given), *given])}", flush=True)
    rows = tour(folder, options, tell=lambda line: print(line, flush=True))
    print(f"\n{table(rows)}\n\nwritten  {folder}/tour.csv, tour.md, tour.json")
    return int(any(row.failed for row in rows))


def read(arguments: list[str]) -> tuple[list[str], Path, list[str]]:
    """The networks, the folder and the overrides that all are given."""
    names, folder, given = [*COURSE, *OTHERS], Path("runs/tour"), []
    try:
        parsed = OverridesParser.create().parse_overrides(arguments)
    except HydraException as error:
        raise UserError(f"{str(error).splitlines()[0]}: write key=value, and lists without blanks") from error
    for override in parsed:
        key, line = override.key_or_group, str(override.input_line)
        if override.is_sweep_override():
            raise UserError(f"{line}: a tour gives every network one value; lists are written [a,b]")
        if key == "backbones":
            value = override.value()
            names = [str(name) for name in (value if isinstance(value, list) else [value])]
        elif key == "folder":
            folder = Path(str(override.value())).expanduser()
        elif key.partition(".")[0] in NOT_TAKEN and not key.startswith("backbone."):
            raise UserError(f"{line} is not for a tour: use {NOT_TAKEN[key.partition('.')[0]]}")
        else:
            given.append(line)
    if not names:
        raise UserError("backbones=[] names no network: write backbones=[resnet18,osnet_x1_0]")
    return list(dict.fromkeys(names)), folder, given


def overrides(name: str, folder: Path, given: list[str]) -> list[str]:
    """What train.py is given for one network: what the user says wins over the usual."""
    options = [*missing(USUAL, given), *given]
    if "\npretrained:" not in (CONFIGS / "backbone" / f"{name}.yaml").read_text():  # there are none to be had
        options = [option for option in options if key_of(option) != "backbone.pretrained"]
    return [f"backbone={name}", *options, f"run.root={folder / name}"]


def missing(usual: tuple[str, ...], given: list[str]) -> list[str]:
    """Those of ``usual`` that ``given`` does not replace, by the key itself or the group that it belongs to."""
    keys = {key_of(option) for option in given}
    return [u for u in usual if not keys & {key_of(u), key_of(u).partition(".")[0]}]


def key_of(option: str) -> str:
    return option.partition("=")[0].lstrip("+~")


def check(options: dict[str, list[str]]) -> None:
    """UserError if Hydra takes the options of no network, in the words of train.py. Nothing is trained for it."""
    for given in options.values():
        done = subprocess.run([sys.executable, str(TRAIN), *given, "--cfg", "job"], capture_output=True, text=True)
        if done.returncode == 0:
            return
    raise UserError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        raise SystemExit(0)
    try:
        raise SystemExit(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on after the networks that are done", file=sys.stderr)
        raise SystemExit(130) from None
