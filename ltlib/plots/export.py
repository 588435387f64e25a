"""Figures as files and as inline SVG: the same figure gives the same bytes, everywhere and always.

SVG is for pages, PDF for papers, PNG at twice the size for slides, CSV for whoever wants the numbers.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from ltlib.files import csv_text, digest, write_bytes
from ltlib.plots.palette import context

if TYPE_CHECKING:
    import pandas as pd

_NO_DATES: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""
DPI = 200
"""Of PNG files, and of the points of a crowded map inside an SVG or PDF."""


FORMS = ("svg", "pdf", "png")
"""The forms a figure is saved in."""


def save(
    fig: Figure,
    stem: Path | str,
    data: pd.DataFrame | None = None,
    forms: Sequence[str] = FORMS,
    heavy: float = math.inf,
) -> list[Path]:
    """Write ``stem.svg``, ``stem.pdf``, ``stem.png`` and, where there is data, ``stem.csv``.

    Saving settles the figure's layout: what is written later looks the same.

    Args:
        fig: The figure.
        stem: Path without an extension; dots in its name are kept.
        data: What the figure shows; a `Chart` brings its own.
        forms: Which of `FORMS`.
        heavy: Bytes of an SVG above which there is a PNG in any case.

    Returns:
        The files, in the order above.

    Raises:
        RunError: The folder cannot be written.
    """
    stem = Path(stem)
    contents = {f".{form}": _svg_file(fig) if form == "svg" else render(fig, form) for form in FORMS if form in forms}
    if len(contents.get(".svg", b"")) > heavy and ".png" not in contents:
        contents[".png"] = render(fig, "png")
    if data is None and getattr(fig, "data", None):
        data = fig.frame()  # type: ignore[attr-defined]
    if data is not None:
        guarded = data.rename(columns=csv_text).map(csv_text)
        contents[".csv"] = guarded.to_csv(index=False, lineterminator="\n").encode(errors="replace")
    paths = []
    for extension, content in contents.items():
        paths.append(stem.with_name(stem.name + extension))
        write_bytes(paths[-1], content)
    return paths


def render(fig: Figure, form: str) -> bytes:
    """The figure as bytes of one form: svg, pdf or png (200 dots per inch)."""
    stream = io.BytesIO()
    with context(plain=getattr(fig, "plain", False)):
        _readable(fig)
        if fig.get_layout_engine() is not None:
            # A constrained layout moves a little each time it runs; one run, then none, gives equal bytes. None at
            # all, because matplotlib draws a figure twice whose engine is its place holder, "none".
            fig.draw_without_rendering()
            fig.set_layout_engine(None)
        fig.savefig(stream, format=form, dpi=DPI, metadata=_NO_DATES[form])
    return stream.getvalue()


def _readable(fig: Figure) -> None:
    """Replace what no font has and no XML may hold (control characters, parts of broken file names) in every text."""
    for text in fig.findobj(Text):
        assert isinstance(text, Text)
        if _NOT_XML.search(text.get_text()):
            text.set_text(_clean(text.get_text()))
    for axes in fig.axes:
        for axis in (axes.xaxis, axes.yaxis):
            form = axis.get_major_formatter()
            if isinstance(form, FixedFormatter):  # it gives the ticks their texts when they are drawn
                form.seq = [_clean(str(item)) for item in form.seq]


def readable(value: Any) -> Any:
    """What a drawing function is given, with such characters replaced in every text of it: some measure them first."""
    if isinstance(value, str):
        return _clean(value)
    if type(value) is dict:
        return {readable(key): readable(item) for key, item in value.items()}
    return type(value)(map(readable, value)) if type(value) in (list, tuple) else value


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def svg(fig: Figure, prefix: str | None = None, alt: str | None = None) -> str:
    """The figure as an ``<svg>`` element for an HTML page.

    Args:
        fig: The figure.
        prefix: Put before every id, so that several figures in one page do not meet; default: from the content.
        alt: Alternative text; a `Chart` brings its own.

    Returns:
        The element: no XML declaration, no metadata, scaled down to the page's width.
    """
    text = render(fig, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    prefix = prefix or f"f{digest(text)[:10]}"
    text = re.sub(r'(?<=\sid=")(?=[^"])', f"{prefix}-", text)
    text = re.sub(r'(?<=href="#)|(?<=url\(#)', f"{prefix}-", text)
    return _accessible(text, fig, alt, ' style="max-width:100%;height:auto"').strip()


def _svg_file(fig: Figure) -> bytes:
    return _accessible(render(fig, "svg").decode(), fig, None, "").encode()


def _accessible(text: str, fig: Figure, alt: str | None, attributes: str) -> str:
    """Give the outermost element its role and its name for screen readers."""
    alt = _clean(alt if alt is not None else getattr(fig, "alt", ""))
    name = f' role="img" aria-label="{escape(alt, quote=True)}"' if alt else ""
    return _clean(text).replace("<svg", f"<svg{name}{attributes}", 1)
