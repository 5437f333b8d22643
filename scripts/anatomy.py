"""What the convolutions of a network do, layer by layer:  python scripts/anatomy.py backbone=resnet50

Kinds of convolution, output sizes by the formula, parameters, multiplications, memory, receptive fields in theory and
in effect, what a shifted image changes, and how fast it is here. output=FILE.json keeps it all.
"""

import sys
from pathlib import Path

from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that it runs without an installation, as train.py does

from reid.door import command


def main(cfg: DictConfig) -> None:
    # torch is imported after --help and spelling errors are dealt with
    from reid import files
    from reid.anatomy import analyse, table
    from reid.door.arguments import backbone_of, image_size, json_file

    size, output = image_size(cfg.image.size), json_file(cfg.output)
    backbone, _ = backbone_of(cfg.backbone)
    found = analyse(backbone.net, (3, *size))
    print(f"{backbone.name}, weights {backbone.origin}\n\n{table(found)}")
    if output is not None:
        files.write_json(output, {"backbone": backbone.name, "weights": backbone.origin, **found.to_dict()})
        print(f"\nwritten  {output}")


if __name__ == "__main__":
    command.run(main, config_name="anatomy")
