"""What every page is put in: one file that no request leaves."""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence

from reid.report.style import CSS


def page_frame(title: str, sections: Sequence[str], *, css: str = "", script: str = "") -> str:
    """A whole HTML page.

    Args:
        title: plain text, escaped here; the heading is a section of its own.
        sections: finished HTML in reading order; empty ones are left out.
        css: rules after those that all pages share.
        script: run at the end, and the only one that the browser runs, by its hash; the page must read without it too.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # The browser itself refuses any request, should a later edit add one by mistake.
        '<meta http-equiv="Content-Security-Policy"'
        f" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}\">"
        f"<title>{html.escape(title)}</title><style>{CSS}{css}</style></head>\n"
        f"<body><main>\n{chr(10).join(section for section in sections if section)}\n</main>"
        f"{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )


def pairs(items: Mapping[str, str], css: str) -> str:
    """A description list of the class ``css``; keys and values are plain text."""
    rows = "".join(
        f"<div><dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd></div>" for key, value in items.items()
    )
    return f'<dl class="{css}">{rows}</dl>'
