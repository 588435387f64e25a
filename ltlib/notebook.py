"""What the cells of a notebook call: set up, show a table, show a figure, judge a claim, finish.

A page knows what its notebook declares. Whatever a cell shows is ticked off; `Page.finish`, the last cell, fails when a
declared table or figure was neither shown nor declared missing with its reason. What is shown is self-contained HTML,
so an executed copy needs no other file.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import declared, files, places, progress
from ltlib.errors import IncompleteError, SettingError, UnknownName

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SENTINEL = "application/vnd.ltlib.page+json"
_EMBED_SVG = 90_000  # bytes; a larger drawing is embedded as pixels, the SVG is linked
_PREVIEW_ROWS = 40
_VERDICTS = {True: ("holds", "yes"), False: ("does not hold", "no"), None: ("cannot be told", "open")}


class Shown:
    """Something displayed: HTML for people, its text for terminals and plain-text readers."""

    def __init__(self, html: str, text: str, extra: Mapping[str, Any] | None = None):
        self.html, self.text, self.extra = html, text, dict(extra or {})

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/html": self.html, "text/plain": self.text, **self.extra}

    def __repr__(self) -> str:
        return self.text


def headless() -> bool:
    """Whether nobody can move a slider: the chain or papermill runs this, or there is no kernel at all."""
    return bool(os.environ.get("LTLIB_HEADLESS") or os.environ.get("PAPERMILL_OUTPUT_PATH")) or not progress.in_kernel()


def slug(kind: str, number: str) -> str:
    """The anchor and file name of a table or figure: ``figure-5``, ``table-a-1``, ``algorithm-1``."""
    words = re.findall(r"[a-z0-9]+", str(number).lower())
    named = str(number)[:1].isalpha() and len(words[0] if words else "") > 1
    return "-".join(words if named else [kind, *words])


def setup(name: str | None = None, profile: str = "quick", **parameters: Any) -> Page:
    """Begin a page: find what its notebook declares, set the plot style, show the machine card.

    Args:
        name: The notebook's id, its path under ``notebooks`` without suffix; None asks Jupyter for the file's name.
        profile: ``quick``, ``laptop`` or ``paper``.
        **parameters: The notebook's other parameters; they choose among variants and are shown.

    Raises:
        UnknownName: Unknown profile, notebook or variant.
    """
    if profile not in declared.PROFILES:
        raise UnknownName("profile", profile, declared.PROFILES)
    if name is None:
        name = _own_name()
    page = Page(declared.find(name, parameters), profile, parameters)
    with contextlib.suppress(ImportError):
        from ltlib.plots import style

        style.use_style()
    css = (resources.files("ltlib") / "templates" / "cells.css").read_text(encoding="utf-8")
    page.show(Shown(f"<style data-lt>{css}</style>{machine_card(page)}", _machine_text(page)))
    return page


class Page:
    """One notebook being executed.

    Attributes:
        declared: What the notebook declares.
        profile: The profile it runs in.
        parameters: Its other parameters.
        frames: Comparison tables shown so far, by number.
    """

    def __init__(self, page: declared.Declared, profile: str, parameters: Mapping[str, Any] | None = None):
        self.declared, self.profile, self.parameters = page, profile, dict(parameters or {})
        self.frames: dict[str, pd.DataFrame] = {}
        self._runs: dict[str, Any] = {}
        self._started = time.monotonic()
        self._tables: dict[str, dict[str, Any]] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self._missing: list[dict[str, Any]] = []
        self._claims: list[dict[str, Any]] = []

    # --- where things lie ---------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The folder of this profile's pages, figures, tables and run cards."""
        return places.reports_folder() / self.profile

    def link(self, target: Path) -> str:
        """A relative address of a file, from the page in the chain, else from the working directory."""
        here = Path(os.environ.get("LTLIB_PAGE_FOLDER") or Path.cwd())
        with contextlib.suppress(ValueError):  # another drive on Windows has no relative address
            return Path(os.path.relpath(target, here)).as_posix()
        return Path(target).as_uri()

    def show(self, shown: Shown) -> None:
        """Display something in the cell."""
        from IPython.display import display

        display(shown)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def runs(self, grid: str) -> list[Any]:
        """Train or load every run of a grid in this profile; says what the profile cannot make."""
        import ltlib
        from ltlib import grids

        experiments, impossible = grids.experiments(grid, self.profile)
        runs = ltlib.run_all(experiments) if experiments else []
        self.use(runs)
        if impossible:
            reasons = list(dict.fromkeys(str(r) for r in _values(impossible)))
            self.note(f"{len(impossible)} of {grid} not in {self.profile}: {'; '.join(reasons[:3])}")
        return runs

    def use(self, runs: Iterable[Any]) -> None:
        """Say that the page rests on these runs, so that it is stamped with them and their cards are written."""
        self._runs |= {run.id: run for run in runs}

    # --- tables -------------------------------------------------------------------------------------------------------

    def table(self, document: str, table: str, runs: Iterable[Any] | None = None, **options: Any) -> None:
        """Show a published table: printed beside ours, difference, runs, interval, verdict.

        Args:
            document: Document id.
            table: Number of the table.
            runs: The runs to compare; None takes every run of the page so far.
            **options: Passed to `tables.pivot`.
        """
        from ltlib import tables

        used = list(self._runs.values() if runs is None else runs)
        self.use(used)
        frame = tables.compare(used, document, table, self.profile)
        verdicts = {str(k): int(v) for k, v in frame["verdict"].value_counts().items()} if "verdict" in frame else {}
        body = tables.to_html(tables.pivot(frame, **options))
        self._show_table(self._key(document, table), frame, body, f"{document}, Table {table}", verdicts)

    def frame(self, number: str, frame: pd.DataFrame, caption: str = "", html: str | None = None) -> None:
        """Show any other table under a declared number: cells as they are, escaped."""
        body = html if html is not None else frame_html(frame)
        self._show_table(str(number), frame, body, caption or f"Table {number}", {})

    def _show_table(self, key: str, frame: pd.DataFrame, body: str, caption: str, verdicts: dict[str, int]) -> None:
        anchor = slug("table", key)
        stem = self.root / "tables" / self.declared.id / anchor
        files.write_text(stem.with_suffix(".csv"), _csv(frame))
        body = body.replace('href="runs/', f'href="{self.link(self.root / "runs")}/')
        counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
        foot = f"{escape(caption)}{'. ' + escape(counts) if counts else ''}"
        html = (
            f'<figure class="lt-table" id="{anchor}"><figcaption><b>Table {escape(key)}</b> {foot} '
            f'<span class="lt-stamp">{self._stamp()} · <a href="{self.link(stem.with_suffix(".csv"))}">CSV</a></span>'
            f'</figcaption><div class="lt-scroll" tabindex="0" role="region" aria-label="Table {escape(key)}">{body}'
            "</div></figure>"
        )
        self.show(Shown(html, f"Table {key}: {caption}. {counts}\n{frame.to_string(max_rows=20, max_cols=8)}"))
        self.frames[key] = frame
        self._tables[key] = {"anchor": anchor, "caption": caption, "verdicts": verdicts, "rows": len(frame)}

    # --- figures ------------------------------------------------------------------------------------------------------

    def figure(
        self,
        number: str,
        figure: Figure,
        *,
        alt: str,
        caption: str = "",
        data: pd.DataFrame | None = None,
        runs: Iterable[Any] | None = None,
    ) -> None:
        """Show and save a figure under its number.

        Args:
            number: The document's number, or a name of our own.
            figure: The drawing; it is closed afterwards, so that the cell does not show it twice.
            alt: The finding in words, with numbers; what a reader who cannot see it needs to know.
            caption: Text under the figure.
            data: The numbers it shows.
            runs: The runs it rests on, for the stamp; None takes every run of the page so far.

        Raises:
            SettingError: The alt text is empty or only repeats the number.
        """
        from ltlib.plots import export

        alt = " ".join(alt.split())
        if len(alt) < 15:
            raise SettingError(f"figure {number} needs an alt text that says what it shows, with its numbers")
        anchor = slug("figure", number)
        stem = self.root / "figures" / self.declared.id / anchor
        export.save(figure, stem, alt=alt, caption=caption, data=data)
        _close(figure)
        links = [(k, stem.with_suffix(f".{k.lower()}")) for k in ("SVG", "PNG", "PDF")]
        if data is not None:
            files.write_text(stem.with_suffix(".csv"), _csv(data))
            links.append(("CSV", stem.with_suffix(".csv")))
        anchors = " ".join(f'<a href="{self.link(path)}">{name}</a>' for name, path in links if path.is_file())
        picture = f'<img src="{embedded(stem)}" alt="{escape(alt)}">'
        self._show_figure(number, anchor, picture, alt, caption, f"{self._stamp(runs)} · {anchors}", data)

    def listing(self, number: str, text: str, *, alt: str, caption: str = "") -> None:
        """Show pseudo-code or another text under a declared figure number, as ``Algorithm 1``."""
        anchor = slug("figure", number)
        self._show_figure(number, anchor, f"<pre>{escape(text)}</pre>", alt, caption, self._stamp([]), None)

    def _show_figure(
        self, number: str, anchor: str, picture: str, alt: str, caption: str, stamp: str, data: pd.DataFrame | None
    ) -> None:
        name = number if slug("figure", number) == slug("", number).lstrip("-") else f"Figure {number}"
        table = ""
        if data is not None:
            note = f"<p>First {_PREVIEW_ROWS} of {len(data)} rows.</p>" if len(data) > _PREVIEW_ROWS else ""
            table = (
                f'<details class="lt-data"><summary>Data of {escape(name)}</summary>{note}'
                f'<div class="lt-scroll" tabindex="0">{frame_html(data.head(_PREVIEW_ROWS))}</div></details>'
            )
        html = (
            f'<figure class="lt-figure" id="{anchor}">{picture}<figcaption><b>{escape(name)}.</b> {escape(caption)} '
            f'<span class="lt-stamp">{stamp}</span></figcaption>{table}</figure>'
        )
        self.show(Shown(html, f"{name}. {caption} [{alt}]"))
        self._figures[str(number)] = {
            "anchor": anchor,
            "alt": alt,
            "caption": caption,
            "picture": picture[:4] == "<img",
        }

    def missing(self, what: str, reason: str, command: str | None = None) -> None:
        """Stand in for a declared table or figure that cannot be made here.

        Args:
            what: The number as declared (``"4"``), or ``"table 4"`` where a table and a figure share it.
            reason: Why, in one sentence.
            command: What would fill it.
        """
        kind, _, number = what.rpartition(" ") if what.lower().startswith(("table ", "figure ")) else ("", "", what)
        kind = kind.lower() or (
            "table" if what in self.declared.tables and what not in self.declared.figures else "figure"
        )
        how = f" <code>{escape(command)}</code>" if command else ""
        label = number if slug(kind, number) == slug("", number).lstrip("-") else f"{kind.capitalize()} {number}"
        html = (
            f'<figure class="lt-missing" id="{slug(kind, number)}"><b>{escape(label)}</b> '
            f"is not here: {escape(reason)}{how}</figure>"
        )
        self.show(Shown(html, f"{label} is not here: {reason} {command or ''}".rstrip()))
        self._missing.append({"kind": kind, "number": number, "reason": reason, "command": command})

    # --- words --------------------------------------------------------------------------------------------------------

    def claim(self, text: str, source: str, answer: bool | None, evidence: str) -> None:
        """Judge a sentence of a document.

        Args:
            text: What the document claims.
            source: Where (``"cefl, section 4.2"``).
            answer: True holds, False does not, None cannot be told from what was run.
            evidence: The numbers behind the answer.
        """
        answer = None if answer is None else bool(answer)
        word, kind = _VERDICTS[answer]
        if answer is not None and self.profile != "paper":
            word = f"{word} in {self.profile}"
        html = (
            f'<aside class="lt-claim lt-{kind}"><p>“{escape(text)}” <cite>{escape(source)}</cite></p>'
            f'<p><span class="lt-chip lt-{kind}">{word}</span> {escape(evidence)}</p></aside>'
        )
        self.show(Shown(html, f"Claim ({source}): {text}\n{word}: {evidence}"))
        self._claims.append({"text": text, "source": source, "answer": answer, "evidence": evidence})

    def note(self, text: str) -> None:
        """Show a remark."""
        self.show(Shown(f'<p class="lt-note">{escape(text)}</p>', text))

    def notes(self, document: str, table: str | None = None, figure: str | None = None) -> None:
        """Show the known inconsistencies of the source next to the table or figure they concern."""
        from ltlib import published

        texts = [str(text) for text in published.inconsistencies(document, table, figure)["text"]]
        if texts:
            items = "".join(f"<li>{escape(text)}</li>" for text in texts)
            head = "The source, read closely"
            html = f'<aside class="lt-notes"><b>{head}</b><ul>{items}</ul></aside>'
            self.show(Shown(html, "\n".join([f"{head}:", *(f"- {text}" for text in texts)])))

    def explore(self, function: Callable[..., Any], static: Iterable[Any], **widgets: Any) -> None:
        """Sliders in a live kernel; where nobody can move them, the same function at a few fixed settings.

        Args:
            function: Takes the widgets' values by name and returns a figure, a frame or text.
            static: The fixed settings: mappings of names to values, or bare values of a single widget.
            **widgets: What `ipywidgets.interact` takes: ranges, lists, or widgets.
        """
        if not headless():
            with contextlib.suppress(ImportError):
                from ipywidgets import interact

                interact(function, **widgets)
                return
        panels, lines = [], []
        for item in static:
            setting = dict(item) if isinstance(item, Mapping) else {next(iter(widgets)): item}
            label = ", ".join(f"{key.replace('_', ' ')} = {value}" for key, value in setting.items())
            panels.append(f"<div><p>{escape(label)}</p>{_panel(function(**setting), label)}</div>")
            lines.append(label)
        self.show(Shown(f'<div class="lt-panels">{"".join(panels)}</div>', "\n".join(lines)))

    # --- the end ------------------------------------------------------------------------------------------------------

    def open_items(self) -> list[str]:
        """Declared tables and figures neither shown nor declared missing."""
        gone = {(item["kind"], item["number"]) for item in self._missing}
        left = [f"table {n}" for n in self.declared.tables if n not in self._tables and ("table", n) not in gone]
        left += [f"figure {n}" for n in self.declared.figures if n not in self._figures and ("figure", n) not in gone]
        return left

    def record(self) -> dict[str, Any]:
        """What the page holds, as JSON-ready values."""
        return {
            "id": self.declared.id,
            "profile": self.profile,
            "seconds": round(time.monotonic() - self._started, 1),
            "tables": self._tables,
            "figures": self._figures,
            "missing": self._missing,
            "claims": self._claims,
            "runs": sorted(self._runs),
        }

    def finish(self) -> None:
        """The last cell: check that everything declared is there, write the run cards, leave the sentinel.

        Raises:
            IncompleteError: Names every declared table and figure that is not there.
        """
        left = self.open_items()
        if left:
            raise IncompleteError(
                f"{self.declared.id} declares {', '.join(left)}, which no cell showed; show them, or say why not with "
                "page.missing(number, reason)"
            )
        if self._runs:
            from ltlib import report

            report.write_cards(self._runs.values(), self.root)
        record = self.record()
        place = os.environ.get("LTLIB_SENTINEL")
        if place:
            files.write_json(Path(place), record)
        done = f"{len(self._tables)} tables, {len(self._figures)} figures, {len(self._runs)} runs"
        done += f", {len(self._missing)} missing with a reason" if self._missing else ""
        text = f"Complete: {done}, {progress.duration(record['seconds'])}."
        self.show(Shown(f'<p class="lt-note">{text}</p>', text, {SENTINEL: json.loads(json.dumps(record))}))

    def _key(self, document: str, table: str) -> str:
        return str(table) if document == self.declared.document else f"{document}/{table}"

    def _stamp(self, runs: Iterable[Any] | None = None) -> str:
        """Where a figure or table comes from: profile, runs with their cards, fingerprints of their data."""
        used = list(self._runs.values() if runs is None else runs)
        self.use(used)
        parts = [self.profile]
        shown = [
            f'<a href="{self.link(self.root / "runs" / f"{escape(run.id)}.html")}">{escape(run.id)}</a>'
            for run in used[:3]
        ]
        if shown:
            parts.append(f"runs {', '.join(shown)}" + (f" and {len(used) - 3} more" if len(used) > 3 else ""))
        prints = sorted({str(run.fingerprint)[:8] for run in used if getattr(run, "fingerprint", None)})
        if prints:
            parts.append(f"data {', '.join(prints[:2])}" + (f" and {len(prints) - 2} more" if len(prints) > 2 else ""))
        return " · ".join(parts)


def machine_card(page: Page) -> str:
    """The machine, the profile and its cost, as HTML."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _machine(page).items())
    return f'<section class="lt-machine" aria-label="Machine and profile"><dl>{rows}</dl></section>'


def frame_html(frame: pd.DataFrame) -> str:
    """A frame as a plain table; every cell is escaped, numbers are short and aligned."""

    def cell(value: Any) -> str:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        text = "–" if value is None or value != value else f"{value:.4g}" if isinstance(value, float) else str(value)
        return f'<td class="num">{escape(text)}</td>' if number else f"<td>{escape(text)}</td>"

    named = any(name is not None for name in frame.index.names)
    flat = frame.reset_index() if named else frame
    head = "".join(f'<th scope="col">{escape(str(column))}</th>' for column in flat.columns)
    rows = (f"<tr>{''.join(cell(value) for value in row)}</tr>" for row in flat.itertuples(index=False, name=None))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def embedded(stem: Path) -> str:
    """The saved figure as a data address: the drawing where it is small, else the pixels."""
    svg, png = stem.with_suffix(".svg"), stem.with_suffix(".png")
    for path, kind in ((svg, "svg+xml"), (png, "png")):
        if path.is_file() and (path is png or path.stat().st_size <= _EMBED_SVG or not png.is_file()):
            return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    raise SettingError(f"nothing was saved at {stem}")


def _panel(result: Any, label: str) -> str:
    """One fixed setting of an explored function, as HTML."""
    if hasattr(result, "savefig"):
        import io

        buffer = io.BytesIO()
        result.savefig(buffer, format="png", dpi=110)
        _close(result)
        data = base64.b64encode(buffer.getvalue()).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{escape(f"The panel at {label}")}">'
    return frame_html(result) if hasattr(result, "itertuples") else f"<pre>{escape(str(result))}</pre>"


def _close(figure: Any) -> None:
    """Close a figure, so that the inline backend does not show it a second time."""
    import matplotlib.pyplot as plt

    plt.close(figure)


def _csv(frame: pd.DataFrame) -> str:
    """A frame as CSV; texts that a spreadsheet would run as a formula are quoted with an apostrophe."""
    named = any(name is not None for name in frame.index.names)
    flat = frame.reset_index() if named else frame

    def safe(value: Any) -> Any:
        return f"'{value}" if isinstance(value, str) and re.match(r"[=@\t]|[+-](?![\d.])", value) else value

    return flat.map(safe).to_csv(index=False)


def _values(impossible: Any) -> Iterable[Any]:
    return impossible.values() if isinstance(impossible, Mapping) else impossible


def _own_name() -> str:
    """The running notebook's id, as far as the front end says it."""
    name = os.environ.get("LTLIB_NOTEBOOK") or os.environ.get("JPY_SESSION_NAME", "")
    match = re.search(r"(?:^|notebooks/)([^:]+?)(?:\.ipynb)?$", name.split("notebooks/")[-1])
    if not match:
        raise SettingError("cannot tell which notebook this is; write notebook.setup('chapter/name', ...)")
    return match[1]


def _machine(page: Page) -> dict[str, str]:
    import torch

    device = f"{os.cpu_count()} CPU cores"
    if torch.cuda.is_available():
        device = f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
    with contextlib.suppress(ImportError):
        import psutil

        device += f", {psutil.virtual_memory().total / 2**30:.0f} GiB memory"
    profile = page.profile
    rows = {
        "profile": f"{profile}: {declared.PROFILES[profile]}",
        "cost": page.declared.cost.get(profile, ""),
        "machine": f"{device}, {torch.get_num_threads()} threads of this process",
        "software": f"Python {platform.python_version()}, torch {torch.__version__}, ltlib {declared.package_version()}",
        "parameters": ", ".join(f"{key} = {value!r}" for key, value in page.parameters.items()),
    }
    return {key: value for key, value in rows.items() if value}


def _machine_text(page: Page) -> str:
    return "\n".join(f"{key}: {value}" for key, value in _machine(page).items())
