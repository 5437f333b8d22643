"""What the augmentation does:  python scripts/preview.py dataset=... augment=... [output=preview.html]

Draws a page of training images as they are, as training would show them, and after each operation alone. Options of
augment and mix are those of train.py; nothing is trained.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid.door.preview import preview

    preview(cfg)


if __name__ == "__main__":
    command.run(main, config_name="preview")
