"""A composed preview config -> a page of augmented training images."""

from omegaconf import DictConfig

from reid.door import check
from reid.door.arguments import image_size, output_file
from reid.door.build import build, read_split
from reid.errors import UserError


def preview(cfg: DictConfig) -> None:
    """Draw the page that the config asks for, write it, and say what is on it."""
    for key, least in {"images": 1, "draws": 1, "seed": 0}.items():
        check.value(key, cfg[key], int, least)
    output = output_file(cfg.output, [".html"])
    if output is None:
        raise UserError("output is missing: name the page, as output=preview.html")
    augment = build(cfg.augment, "augment") if cfg.get("augment") else None
    mix = build(cfg.mix, "mix") if cfg.get("mix") else None
    size = image_size(cfg.image.size)
    split, _ = read_split(cfg.dataset, seed=cfg.seed, whole=True)

    from reid import files
    from reid.report.preview_page import preview_page, preview_text
    from reid.runs.preview import draw

    shown = draw(split, size, augment=augment, mix=mix, images=cfg.images, draws=cfg.draws, seed=cfg.seed)
    files.write(output, preview_page(shown))
    print(f"{preview_text(shown)}\n\nwritten  {output}")
