"""Tables of sentences."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ltlib.pages import names

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page


def text_table(page: Page, name: str, frame: pd.DataFrame, caption: str = "") -> None:
    """Show a table whose cells wrap and read from the left."""
    from ltlib.notebook import Shown

    cell = 'style="white-space:normal;text-align:left;max-width:58ch;vertical-align:top"'
    heads = "".join(f'<th scope="col" {cell}>{escape(str(column))}</th>' for column in frame.columns)
    rows = ""
    for first, *rest in frame.itertuples(index=False, name=None):
        cells = "".join(f"<td {cell}>{escape(str(value))}</td>" for value in rest)
        rows += f'<tr><th scope="row" style="vertical-align:top">{escape(str(first))}</th>{cells}</tr>'
    html = (
        f'<figure class="lt-table" id="{names.slug("table", name)}"><figcaption><b>{escape(name)}</b> '
        f'{escape(caption)}</figcaption><div class="lt-scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
        f'<table class="ltlib plain"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></figure>'
    )
    page.show(Shown(html, f"{name} {caption}\n{frame.to_string(index=False)}"))
