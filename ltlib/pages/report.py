"""Static HTML: one page per notebook, one card per run, one index. No page loads anything from the network.

Layout under ``reports/PROFILE``, every link relative so that it opens from ``file://``::

    index.html                  findings, documents and their tables, states, pages, gallery
    references.html             every method, data set and fact with its source; references.bib beside it
    CHAPTER/NAME.html           the page; beside it NAME.ipynb (executed copy) and NAME.json (its state)
    figures/CHAPTER/NAME/...    each figure as SVG (beyond `quick` as PDF and PNG too) and its data as CSV
    tables/CHAPTER/NAME/...     each table as CSV
    runs/RUN_ID.html            run cards
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ltlib import files, profiles, progress, published
from ltlib.pages import declared, order, sources
from ltlib.pages.declared import Declared
from ltlib.pages.names import slug
from ltlib.version import __version__

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
PAGE_BYTES = 2_000_000
_PAGE_FILES = ("page/index.html.j2", "page/conf.json", "style.css", "cells.css", "page.js")
_SUSPECT = re.compile(
    r"<\s*(script|iframe|object|embed|link|meta|base|form|style)\b|\son\w+\s*=|javascript:|\b(src|srcset|poster|data)\s*="
    r"\s*[\"']?\s*(https?:)?//|url\(",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class PageState:
    """How a page stands.

    Attributes:
        page: What was declared.
        state: ``fresh``, ``stale``, ``failed``, ``missing``, or ``empty`` where no run fills a cell of its tables yet.
        reason: Why it is not fresh.
        command: What makes it fresh.
        seconds: How long its last execution took.
        record: What the page holds (the sentinel), empty where there is none.
        html: Address of the good page from the index, or None.
        failed_html: Address of the last failed attempt, or None.
    """

    page: Declared
    state: str
    reason: str = ""
    command: str = ""
    seconds: float = 0.0
    record: Mapping[str, Any] = field(default_factory=dict)
    html: str | None = None
    failed_html: str | None = None


@cache
def template_digest() -> str:
    """SHA-256 of what the look of a page depends on."""
    return files.digest("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in _PAGE_FILES))


class Exporter:
    """Writes notebooks as pages. nbconvert is imported once, at the first page."""

    def __init__(self) -> None:
        self._html: Any = None

    def write_page(
        self,
        path: Path,
        page: Declared,
        profile: str,
        state: PageState,
        notebook: Mapping[str, Any] | None,
        pages: Sequence[Declared],
        statement: str = "",
    ) -> None:
        """Write one page.

        Args:
            path: The HTML file.
            page: What the notebook declared.
            profile: The profile it ran in.
            state: Its state; a failed one gets a banner.
            notebook: The executed notebook; None shows the notebook as it is kept.
            pages: All pages in reading order, for previous and next, and for one that has the same runs.
            statement: What it is of, instead of what its profile is; of a page by itself.
        """
        assert page.path is not None
        shown = notebook if notebook is not None else declared.read_notebook(page.path)
        up = "../" * page.id.count("/")
        pages = [other for other in pages if not other.problem]
        ids = [other.id for other in pages]
        place = ids.index(page.id) if page.id in ids else -1
        near = {
            "previous": pages[place - 1] if place > 0 else None,
            "next": pages[place + 1] if 0 <= place < len(pages) - 1 else None,
        }
        context = {
            "page": page,
            "profile": profile,
            "statement": statement or profiles.get(profile).summary,
            "alone": bool(statement),
            "state": state,
            "failed": path.name.endswith(".failed.html"),
            "absent": absent(page, shown),
            "source": sources.line(page.document) if page.document in published.documents() else None,
            "twin": order.twin(page, pages, profile),
            "opening": next((c["id"] for c in shown["cells"] if c["cell_type"] == "markdown" and "id" in c), ""),
            "up": up,
            "contents": headings(shown),
            "seconds": progress.duration(state.seconds),
            "version": __version__,
            "style": assets("cells.css", "style.css"),
            "script": assets("page.js"),
            **near,
        }
        text = sources.linked(self._render(shown, context), up)
        files.write_text(path, _fit(text, path.parents[page.id.count("/")], page.id, up))

    def _render(self, notebook: Mapping[str, Any], context: Mapping[str, Any]) -> str:
        import nbformat

        if self._html is None:
            self._html = _html_exporter()
        cells = []
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell = {key: value for key, value in cell.items() if key != "attachments"} | {
                    "source": _with_pictures(cell)
                }
            if cell["cell_type"] == "code":
                cell = cell | {
                    "outputs": [kept for output in cell.get("outputs", ()) if (kept := _clean_output(output))]
                }
            cells.append(cell)
        node = nbformat.from_dict({**notebook, "cells": cells})
        body, _ = self._html.from_notebook_node(node, resources={"lt": context})
        return body


def _with_pictures(cell: Mapping[str, Any]) -> str:
    """The text of a cell with the pictures pasted into it at their places: a page needs no other file."""
    source = cell["source"]
    for name, forms in sorted(cell.get("attachments", {}).items(), key=lambda item: -len(item[0])):
        kind, data = next(((k, v) for k, v in forms.items() if k.startswith("image/")), ("", ""))
        data = re.sub(r"\s", "", "".join(data))
        for address in dict.fromkeys((name, quote(name))):
            source = source.replace(f"attachment:{address}", f"data:{kind};base64,{data}")
    return source


def _fit(text: str, home: Path, name: str, up: str) -> str:
    """Link the largest embedded figures instead, where a page would be too large to carry them."""
    pattern = re.compile(
        r'<figure class="lt-figure" id="([\w-]+)">(?:<div [^>]*>)?<img (?:alt="[^"]*" )?src="(data:[^"]+)"'
    )
    for match in sorted(pattern.finditer(text) if len(text) > PAGE_BYTES else (), key=lambda m: -len(m[2])):
        for ending in ("svg", "png"):
            saved = home / "figures" / name / f"{match[1]}.{ending}"
            if saved.is_file() and len(text) > PAGE_BYTES:
                text = text.replace(match[2], f"{up}{saved.relative_to(home).as_posix()}", 1)
                break
    return text


def assets(*names: str) -> str:
    """Files of the template folder as one text, to be placed inside a page."""
    return "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def headings(notebook: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """Level, anchor and text of the second and third level headings."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            outside = re.sub(r"^(```|~~~).*?^\1", "", cell["source"], flags=re.MULTILINE | re.DOTALL)
            for marks, text in re.findall(r"^(#{2,3})\s+(.+?)\s*#*$", outside, flags=re.MULTILINE):
                plain = re.sub(r"[*`$]|\[([^\]]*)\]\([^)]*\)", r"\1", text)
                found.append((len(marks), anchor(plain), plain))
    return found


def anchor(text: str) -> str:
    """The anchor of a heading: its words in lower case; ``about-table-4-1`` where a table or figure has that anchor."""
    words = "-".join(re.findall(r"\w+", re.sub(r"<[^>]*>", "", text).lower()))
    return f"about-{words}" if re.fullmatch(r"(table|figure)-.*", words) else words or "section"


def absent(page: Declared, notebook: Mapping[str, Any]) -> list[str]:
    """Declared tables and figures that no output of the notebook shows."""
    html = "".join(
        "".join(output.get("data", {}).get("text/html", ""))
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
    )
    wanted = [("table", n) for n in page.tables] + [("figure", n) for n in page.figures]
    return [f"{kind} {number}" for kind, number in wanted if f'id="{slug(kind, number)}"' not in html]


def _html_exporter() -> Any:
    """nbconvert's HTML exporter with our template, our Markdown and nothing from a network."""
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(
        template_name="page",
        extra_template_basedirs=[str(TEMPLATES)],
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        jupyter_widgets_base_url="",
    )
    exporter.register_filter("markdown2html", markdown)
    return exporter


def markdown(source: str) -> str:
    """Markdown to HTML: equations as MathML, raw HTML escaped, pictures from elsewhere as links, tables that scroll."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def heading(self, text: str, level: int, **attrs: Any) -> str:
            name = anchor(text)
            link = f'<a class="anchor" href="#{name}" aria-label="Link here">#</a>'
            return f'<h{level} id="{name}">{text}{link}</h{level}>\n'

        def image(self, text: str, url: str, title: str | None = None) -> str:
            outside = re.match(r"\s*((https?:)?//|attachment:)", url)  # a pasted picture that is not there any more
            return escape(text) if outside else super().image(text, url, title)

        def link(self, text: str, url: str, title: str | None = None) -> str:
            if not re.match(r"\w+:|//|#", url):
                url = re.sub(r"\.ipynb(?=#|$)", ".html", url)
            return super().link(text, url, title)

        def block_html(self, text: str) -> str:
            """A fold, as `Page.fold` makes it, around the Markdown between its two lines; other HTML is escaped."""
            start = re.fullmatch(r"<details><summary>([^<>]*)</summary>\s*", text)
            if start:
                return f'<details class="lt-fold"><summary>{escape(unescape(start[1]))}</summary>\n'
            return "</details>\n" if text.strip() == "</details>" else super().block_html(text)

        def inline_math(self, body: str) -> str:
            return mathml(body, "inline")

        def block_math(self, body: str) -> str:
            return mathml(body, "block")

        def latex_environment(self, name: str, body: str) -> str:
            return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", "block")

    html = MarkdownWithMath(renderer=Renderer(escape=True, allow_harmful_protocols=False)).render(source)
    return html.replace("<table>", '<div class="lt-scroll" tabindex="0"><table>').replace("</table>", "</table></div>")


def mathml(tex: str, display: str) -> str:
    """An equation as MathML; what the converter cannot read stays as its TeX."""
    from latex2mathml.converter import convert

    try:
        return convert(tex.strip(), display=display)
    except Exception:  # the converter has no error class of its own
        return f'<code class="tex">{escape(tex.strip())}</code>'


def clean_html(html: str) -> str:
    """HTML of an output without scripts, event handlers, styles, forms, or anything loaded from elsewhere."""
    html = re.sub(r"<style data-lt>.*?</style>", "", html, flags=re.DOTALL)
    if not _SUSPECT.search(html):
        return html
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for tag in soup(["script", "iframe", "object", "embed", "link", "meta", "base", "form", "style"]):
        tag.decompose()
    for tag in soup(True):
        for name, value in list(tag.attrs.items()):
            text = re.sub(r"[\s\x00-\x1f]", "", " ".join(value) if isinstance(value, list) else str(value)).lower()
            loads = name in ("src", "srcset", "poster", "data", "background", "xlink:href") or (
                name == "href" and tag.name in ("use", "image")
            )
            if (
                name.startswith("on")
                or text.startswith(("javascript:", "vbscript:"))
                or (loads and re.match(r"(https?:)?//", text))
                or (name == "style" and "url(" in text)
            ):
                del tag.attrs[name]
        if tag.name == "img" and not tag.get("src"):
            tag.replace_with(str(tag.get("alt") or ""))
    return str(soup)


def _clean_output(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """An output as a page may show it: no script, no widget without its kernel."""
    if "data" not in output:
        return {**output, "text": "".join(output["text"])} if "text" in output else dict(output)
    data = {k: "".join(v) if isinstance(v, list) and k.startswith("text/") else v for k, v in output["data"].items()}
    for kind in list(data):
        if kind.startswith("application/") or kind == "text/latex":
            del data[kind]
    if "text/html" in data:
        data["text/html"] = clean_html(data["text/html"])
    if "image/svg+xml" in data:
        svg = "".join(data.pop("image/svg+xml"))
        source = base64.b64encode(svg.encode()).decode()
        data.setdefault("text/html", f'<img src="data:image/svg+xml;base64,{source}" alt="">')
    return {**output, "data": data} if data else None


@cache
def environment() -> jinja2.Environment:
    """The templates of index and cards; what they print is escaped."""
    import jinja2

    loader = jinja2.FileSystemLoader(str(TEMPLATES))
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
