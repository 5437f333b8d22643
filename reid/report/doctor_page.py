"""One self-contained page about the health of a data set, with pictures of what was found."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reid.report.doctor_text import holds, place, quartiles, sizes, verdict
from reid.report.frame import page_frame, pairs
from reid.report.pictures import picture_html

_SHOWN = 12  # entries of a finding
_TOGETHER = 4  # pictures of an entry
_BARS = 10

CSS = """
.health { padding: 24px 28px; font-size: 1.35rem; font-weight: 600; letter-spacing: -0.01em; }
.health, .finding { border-left: 5px solid var(--own); }
.error { --own: var(--wrong); } .warning { --own: var(--s1); } .info { --own: var(--s0); }
.healthy { --own: var(--right); }
.health + .card { margin-top: 12px; }
.finding { padding: 18px 22px; margin-top: 12px; }
.finding h3 b { color: var(--own); text-transform: uppercase; font-size: 0.75rem; letter-spacing: 0.05em; }
.finding h3 b { margin-right: 8px; }
.finding h3 span { font-weight: 400; color: var(--muted); margin-left: 6px; }
.finding > p { margin-top: 4px; max-width: 85ch; font-size: 0.95rem; }
.montage { list-style: none; display: flex; flex-wrap: wrap; gap: 14px; margin: 14px 0 0; padding: 0; }
.montage li { display: flex; gap: 2px; }
.montage li.several { background: var(--ground); border: 1px solid var(--line); border-radius: 8px; }
.montage li.several { padding: 8px; gap: 8px; }
.montage figure { margin: 0; width: 88px; }
.montage .frame { --own: var(--line); width: 64px; border-width: 1px; margin: 0 auto; }
.montage figcaption { margin-top: 4px; text-align: center; overflow-wrap: anywhere; }
.montage figcaption { font-size: 0.68rem; line-height: 1.3; color: var(--muted); }
.finding .more { color: var(--muted); font-size: 0.85rem; margin-top: 10px; }
.people { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.people .card { padding: 18px 22px; overflow-x: auto; }
.people .card > p { color: var(--muted); font-size: 0.85rem; margin: 2px 0 12px; }
.bars { display: flex; gap: 4px; }
.bars div { flex: 0 1 44px; min-width: 0; font-size: 0.72rem; text-align: center; color: var(--muted); }
.bars span { display: flex; flex-direction: column; justify-content: flex-end; height: 120px; }
.bars span { border-bottom: 1px solid var(--muted); }
.bars i { background: var(--s0); border-radius: 2px 2px 0 0; }
.people table { border-collapse: collapse; font-size: 0.82rem; }
.people td, .people th { padding: 0.25rem 0.55rem; text-align: right; }
.people th { font-weight: 400; color: var(--muted); }
.people td { background: color-mix(in srgb, var(--s0) var(--share), transparent); }
@media (max-width: 780px) { .people { grid-template-columns: minmax(0, 1fr); } }
"""


def doctor_page(found: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        found: as ``reid.data.doctor.Examination.to_dict`` gives it. The files named there are opened for small
            pictures; one that cannot be read becomes a grey box.
    """
    title = f"The data set {found['name']}"
    return page_frame(
        title, [f"<h1>{html.escape(title)}</h1>", _opening(found), _findings(found), _people(found)], css=CSS
    )


def _opening(found: Mapping[str, Any]) -> str:
    findings = found["findings"]
    worst = findings[0]["severity"] if findings and findings[0]["severity"] != "info" else "healthy"
    told = verdict(findings)
    facts = {part.capitalize(): holds(counts).replace(", ", "\n") for part, counts in found["parts"].items()}
    facts |= {"Sizes": sizes(found["sizes"])} if found["sizes"] else {}
    facts |= {"Folder": found["root"], "Examined in": f"{found['seconds']:.1f} s"}
    return (
        f'<section><div class="card health {worst}">{told[0].upper()}{told[1:]}</div>'
        f'<div class="card">{pairs(facts, "facts")}</div></section>'
    )


def _findings(found: Mapping[str, Any]) -> str:
    if not found["findings"]:
        return ""
    root = Path(found["root"])
    return f"<section><h2>Findings</h2>{''.join(_finding(f, root) for f in found['findings'])}</section>"


def _finding(finding: Mapping[str, Any], root: Path) -> str:
    files, severity = finding["files"], html.escape(finding["severity"])
    entries = "".join(_entry(together, root) for together in files[:_SHOWN])
    montage = f'<ul class="montage">{entries}</ul>' if entries else ""
    more = f'<p class="more">and {len(files) - _SHOWN:,} more</p>' if len(files) > _SHOWN else ""
    return (
        f'<article class="card finding {severity}"><h3><b>{severity}</b>{html.escape(finding["name"])}'
        f"<span>{finding['count']:,}</span></h3><p>{html.escape(finding['meaning'])}</p>{montage}{more}</article>"
    )


def _entry(together: Sequence[str], root: Path) -> str:
    figures = []
    for file in together[:_TOGETHER]:
        name = place(file, root)
        figures.append(
            f'<figure><div class="frame">{picture_html(file, name)}</div>'
            f"<figcaption>{_breakable(name)}</figcaption></figure>"
        )
    return f"<li{' class=several' * (len(figures) > 1)}>{''.join(figures)}</li>"


def _breakable(name: str) -> str:
    """A file name that may go on in the next line after its bars and slashes."""
    return html.escape(name).replace("/", "/<wbr>").replace("_", "_<wbr>")


def _people(found: Mapping[str, Any]) -> str:
    sides = {side: spread for side, spread in found["people"].items() if spread["images_of_an_identity"]}
    if not sides:
        return ""
    spread = "".join(_histogram(side, of) for side, of in sides.items())
    matrices = "".join(_matrix(side, of) for side, of in sides.items())
    return (
        "<section><h2>Images of an identity</h2><p class='note'>How many identities have so many images.</p>"
        f'<div class="people">{spread}</div></section>'
        "<section><h2>Cameras by identity</h2><p class='note'>How many identities two cameras share; on the diagonal"
        f" those that the one camera sees. Junk and distractors are not counted.</p>"
        f'<div class="people">{matrices}</div></section>'
    )


def _histogram(side: str, spread: Mapping[str, Any]) -> str:
    images, identities = np.array(spread["identities_by_images"]).T
    least, most = int(images.min()), int(images.max())
    step = -(-(most - least + 1) // _BARS)  # whole numbers of images to a bar
    heights = np.bincount((images - least) // step, weights=identities)
    bars = "".join(
        f'<div title="{height:,.0f} identities"><span>{height:,.0f}'
        f'<i style="height:{85 * height / heights.max():.1f}%"></i></span>{_range(least + i * step, step)}</div>'
        for i, height in enumerate(heights)
    )
    return (
        f'<div class="card"><h3>{html.escape(side.capitalize())}</h3>'
        f"<p>{html.escape(quartiles(spread['images_of_an_identity']))}</p>"
        f'<div class="bars">{bars}</div></div>'
    )


def _range(first: int, step: int) -> str:
    return f"{first}" if step == 1 else f"{first}–{first + step - 1}"


def _matrix(side: str, spread: Mapping[str, Any]) -> str:
    cameras, shared = spread["cameras"], spread["shared_identities"]
    top = max(max(row) for row in shared)
    head = "".join(f'<th scope="col">{camera}</th>' for camera in cameras)
    rows = "".join(
        f'<tr><th scope="row">{camera}</th>'
        + "".join(f'<td style="--share:{60 * n / top:.0f}%">{n:,}</td>' for n in row)
        + "</tr>"
        for camera, row in zip(cameras, shared, strict=True)
    )
    heading = f"<h3>{html.escape(side.capitalize())}</h3>"
    return f'<div class="card">{heading}<table><tr><td></td>{head}</tr>{rows}</table></div>'
