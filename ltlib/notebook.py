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
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import files, places, progress
from ltlib.errors import IncompleteError, SettingError
from ltlib.pages import declared

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SENTINEL = "application/vnd.ltlib.page+json"
_EMBED_SVG = 90_000  # bytes; a larger drawing is embedded as pixels, the SVG is linked
_PREVIEW_ROWS = 40
_OWN_FILE = ("LTLIB_NOTEBOOK_FILE", "JPY_SESSION_NAME")
_PRINTED = {True: ("support it", "yes"), False: ("contradict it", "no"), None: ("cannot tell", "open")}
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
    """Whether nobody can move a slider: only JupyterLab, Colab and VS Code say that somebody is there."""
    live = os.environ.get("JPY_SESSION_NAME") or os.environ.get("COLAB_RELEASE_TAG") or os.environ.get("VSCODE_PID")
    return bool(os.environ.get("LTLIB_HEADLESS")) or not (live and progress.in_kernel())


def setup(name: str | None = None, profile: str = "quick", **parameters: Any) -> Page:
    """Begin a page: find what its notebook declares, set the plot style, show the machine card.

    Args:
        name: The notebook's id, its path under ``notebooks`` without suffix; None asks Jupyter for the file's name.
        profile: ``quick``, ``laptop`` or ``paper``.
        **parameters: The notebook's other parameters; they choose among variants and are shown.

    Raises:
        UnknownName: Unknown profile, notebook or variant.
    """
    from ltlib import profiles
    from ltlib.plots import palette

    profiles.get(profile)
    page = Page(_own_declaration(name, parameters), profile, parameters)
    palette.use_style()
    css = (resources.files("ltlib.pages") / "templates" / "cells.css").read_text(encoding="utf-8")
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
        self._failures: dict[str, str] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self._missing: list[dict[str, Any]] = []
        self._claims: list[dict[str, Any]] = []

    # --- where things lie --------------------------------------------------------------------------------------------

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

    # --- runs --------------------------------------------------------------------------------------------------------

    def runs(self, grid: str, quiet: bool = False) -> list[Any]:
        """Train or load every run of a grid in this profile; says what failed and what cannot be made here.

        Args:
            grid: Its name.
            quiet: Leave out what the profile does not train, where the cell says so itself.
        """
        from ltlib import grids
        from ltlib.runs import sweep

        experiments, impossible = grids.experiments(grid, self.profile)
        runs = sweep.run_all(experiments, label=grid, train=self.trains) if experiments else sweep.RunList()
        self.use(runs)
        if impossible and not quiet:
            reasons = list(dict.fromkeys(item.reason for item in impossible.values()))
            more = f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else ""
            self.note(f"{len(impossible)} of {grid} not in {self.profile}: {'; '.join(reasons[:3])}{more}.")
        self._failures |= runs.failures
        for reason in dict.fromkeys(runs.failures.values()):
            failed = [run_id for run_id, own in runs.failures.items() if own == reason]
            name = "Run" if len(failed) == 1 else "Runs"
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            self.note(f"{name} {', '.join(failed[:3])}{more} of {grid} not here: {reason}")
        return runs

    @property
    def trains(self) -> bool:
        """Whether a missing run is trained here and now.

        Not in the chain, which trains before it executes and has its reasons for what is left (a budget, a failure,
        data that cannot be had), and not for the paper profile without a GPU. ``LTLIB_TRAIN`` set to 0 or 1 decides.
        """
        said = os.environ.get("LTLIB_TRAIN")
        if said is not None:
            return said != "0"
        if self.profile != "paper":
            return True
        from ltlib.training import accelerator

        return accelerator.device().type != "cpu"

    def use(self, runs: Iterable[Any]) -> None:
        """Say that the page rests on these runs, so that it is stamped with them and their cards are written."""
        self._runs |= {run.id: run for run in runs}

    # --- tables ------------------------------------------------------------------------------------------------------

    def table(self, document: str, table: str, runs: Iterable[Any] | None = None) -> None:
        """Show a published table: printed beside ours, difference, runs, interval, verdict.

        Args:
            document: Document id.
            table: Number of the table.
            runs: The runs to compare; None takes every run of the page so far.
        """
        from ltlib import tables

        used = list(self._runs.values() if runs is None else runs)
        self.use(used)
        frame = tables.compare(used, document, table, self.profile)
        key = self._key(document, table)
        own = {run_id for ids in frame["run_ids"] for run_id in ids}
        self._show_table(key, frame, f"of {document}", [run for run in used if run.id in own])

    def frame(self, number: str, frame: pd.DataFrame, caption: str = "", runs: Iterable[Any] | None = None) -> None:
        """Show any other frame under a declared table number; a frame of `tables.compare_cells` as a comparison."""
        self._show_table(str(number), frame, caption, [] if runs is None else list(runs))

    def _show_table(self, key: str, frame: pd.DataFrame, caption: str, runs: list[Any]) -> None:
        from ltlib.tables import exports

        anchor = declared.slug("table", key)
        stem = self.root / "tables" / self.declared.id / anchor
        saved = exports.save(frame, stem, caption)
        verdicts = (
            {str(k): int(v) for k, v in frame["verdict"].value_counts().items()} if exports.is_comparison(frame) else {}
        )
        counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
        links = " ".join(f'<a href="{self.link(p)}">{p.suffix[1:].upper()}</a>' for p in saved if p.suffix != ".html")
        name = declared.label("table", key)
        body = exports.to_html(frame, link=lambda run: f"{self.link(self.root / 'runs' / run)}.html")
        body = body.replace('<span class="mark"', '<br><span class="mark"')  # a table of one-line cells is too wide
        html = (
            f'<figure class="lt-table" id="{anchor}"><figcaption><b>{escape(name)}</b> {escape(caption)}'
            f"{f'. {counts}.' if counts else ''} "
            f'<span class="lt-stamp">{self._stamp(runs)} · {links}</span></figcaption>'
            f'<div class="lt-scroll" tabindex="0" role="region" aria-label="{escape(name)}">{body}</div>'
            f"{_reasons(frame) if verdicts else ''}</figure>"
        )
        self.show(Shown(html, f"{name} {caption}. {counts}\n{frame.to_string(max_rows=20, max_cols=8)}"))
        self.frames[key] = frame
        self._tables[key] = {"anchor": anchor, "caption": caption, "verdicts": verdicts, "rows": len(frame)}

    # --- figures -----------------------------------------------------------------------------------------------------

    def figure(
        self,
        number: str,
        figure: Figure,
        *,
        alt: str | None = None,
        caption: str = "",
        data: pd.DataFrame | None = None,
        runs: Iterable[Any] | None = None,
    ) -> None:
        """Show and save a figure under its number.

        Args:
            number: The document's number, or a name of our own.
            figure: The drawing; it is closed afterwards, so that the cell does not show it twice.
            alt: The finding in words, with numbers: what a reader who cannot see it needs to know. A `Chart` of
                `ltlib.plots` brings its own.
            caption: Text under the figure.
            data: The numbers it shows; a `Chart` brings them.
            runs: The runs it rests on, for the stamp; None takes every run of the page so far.

        Raises:
            SettingError: There is no alt text, or one too short to say anything.
        """
        from ltlib.plots import export

        alt = " ".join((alt if alt is not None else getattr(figure, "alt", "")).split())
        if len(alt) < 15:
            raise SettingError(f"figure {number} needs an alt text that says what it shows, with its numbers")
        if data is None and getattr(figure, "data", None):
            data = figure.frame()  # type: ignore[attr-defined]
        anchor = declared.slug("figure", number)
        stem = self.root / "figures" / self.declared.id / anchor
        saved = export.save(figure, stem, data)
        _close(figure)
        links = " ".join(f'<a href="{self.link(path)}">{path.suffix[1:].upper()}</a>' for path in saved)
        picture = f'<img src="{embedded(stem)}" alt="{escape(alt)}">'
        self._show_figure(number, anchor, picture, alt, caption, f"{self._stamp(runs)} · {links}", data)

    def listing(self, number: str, text: str, *, alt: str, caption: str = "") -> None:
        """Show pseudo-code or another text under a declared figure number, as ``Algorithm 1``."""
        anchor = declared.slug("figure", number)
        self._show_figure(number, anchor, f"<pre>{escape(text)}</pre>", alt, caption, self._stamp([]), None)

    def _show_figure(
        self, number: str, anchor: str, picture: str, alt: str, caption: str, stamp: str, data: pd.DataFrame | None
    ) -> None:
        name = declared.label("figure", number)
        table = ""
        if data is not None:
            note = f"<p>First {_PREVIEW_ROWS} of {len(data)} rows.</p>" if len(data) > _PREVIEW_ROWS else ""
            table = (
                f'<details class="lt-data"><summary>Data of {escape(name)}</summary>{note}'
                f'<div class="lt-scroll" tabindex="0">{_frame_html(data.head(_PREVIEW_ROWS))}</div></details>'
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

    def missing(self, what: str | Sequence[str], reason: str, command: str | None = None) -> None:
        """Stand in for declared tables or figures that cannot be made here; several share one box.

        Args:
            what: The number as declared (``"4"``), or ``"table 4"`` where a table and a figure share it; or several.
            reason: Why, in one sentence.
            command: What would fill it.
        """
        items = [self._kind_and_number(text) for text in ([what] if isinstance(what, str) else what)]
        parts = []
        for kind in dict.fromkeys(kind for kind, _ in items):
            numbers = [number for own, number in items if own == kind]
            plain = [number for number in numbers if declared.label(kind, number) != number]
            plural = kind.capitalize() + "s" * (len(plain) > 1)
            parts += [f"{plural} {declared.ranges(plain)}"] if plain else []
            parts += [number for number in numbers if number not in plain]
        text = f"{', '.join(parts)} {'is' if len(items) == 1 else 'are'} not here: {reason}"
        how = f" <code>{escape(command)}</code>" if command else ""
        marks = "".join(f'<span id="{declared.slug(*item)}"></span>' for item in items)
        name, _, rest = text.partition(" not here:")
        html = f'<figure class="lt-missing">{marks}<b>{escape(name)} not here:</b>{escape(rest)}{how}</figure>'
        self.show(Shown(html, f"{text} {command or ''}".rstrip()))
        self._missing += [{"kind": k, "number": n, "reason": reason, "command": command} for k, n in items]

    def _kind_and_number(self, what: str) -> tuple[str, str]:
        if what.lower().startswith(("table ", "figure ")):
            kind, _, number = what.partition(" ")
            return kind.lower(), number
        return ("table" if what in self.declared.tables and what not in self.declared.figures else "figure"), what

    # --- words -------------------------------------------------------------------------------------------------------

    def claim(
        self,
        text: str,
        source: str,
        answer: bool | None,
        evidence: str,
        printed: tuple[bool | None, str] | None = None,
        everywhere: bool = False,
    ) -> None:
        """Judge a sentence of a document.

        Args:
            text: What the document claims.
            source: Where (``"cefl, section 4.2"``).
            answer: True holds, False does not, None cannot be told from what was run.
            evidence: The numbers behind the answer.
            printed: Whether the document's own printed numbers support the sentence, and which numbers those are.
            everywhere: The answer rests on a formula, not on runs, and so holds in every profile.
        """
        answer = None if answer is None else bool(answer)
        word, kind = _VERDICTS[answer]
        if answer is not None and self.profile != "paper" and not everywhere:
            word = f"{word} in {self.profile}"
        lines = [(f"Ours: {word}" if printed else word, kind, evidence)]
        if printed:
            said, own = _PRINTED[printed[0]]
            lines.insert(0, (f"Its own numbers: {said}", own, printed[1]))
        body = "".join(f'<p><span class="lt-chip lt-{k}">{escape(w)}</span> {escape(e)}</p>' for w, k, e in lines)
        html = f'<aside class="lt-claim lt-{kind}"><p>“{escape(text)}” <cite>{escape(source)}</cite></p>{body}</aside>'
        said_plainly = "\n".join(f"{w}: {e}" for w, _, e in lines)
        self.show(Shown(html, f"Claim ({source}): {text}\n{said_plainly}"))
        record = {"text": text, "source": source, "answer": answer, "evidence": evidence}
        if printed:
            record |= {"printed": printed[0], "printed_evidence": printed[1]}
        self._claims.append(record)

    def say(self, text: str) -> None:
        """Show a paragraph of the page's own text, made from numbers by the caller."""
        self.show(Shown(f'<p class="lt-say">{escape(text)}</p>', text))

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

    # --- the end -----------------------------------------------------------------------------------------------------

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
            "tables": self._tables,
            "figures": self._figures,
            "missing": self._missing,
            "claims": self._claims,
            "runs": sorted(self._runs),
            "failures": self._failures,
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
            from ltlib.pages import cards

            cards.write_cards(self._runs.values(), self.root)
        record = self.record()
        place = os.environ.get("LTLIB_SENTINEL")
        if place:
            files.write_json(Path(place), record)
        done = f"{len(self._tables)} tables, {len(self._figures)} figures, {len(self._runs)} runs"
        done += f", {len(self._missing)} missing with a reason" if self._missing else ""
        text = f"Complete: {done}."  # no time of day, no duration: equal runs give equal copies
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


def _frame_html(frame: pd.DataFrame) -> str:
    from ltlib.tables import exports

    return exports.to_html(frame)


def _reasons(frame: pd.DataFrame) -> str:
    """Why cells of a comparison are not comparable or not run, each reason once."""
    counts = frame.loc[frame["verdict"].isin(["not comparable", "not run"]), "reason"].value_counts()
    items = [f"<li>{n} {'cell' if n == 1 else 'cells'}: {escape(str(reason))}</li>" for reason, n in counts.items()]
    if not items:
        return ""
    head = "<summary>Cells without a verdict, and why</summary>"
    return f'<details class="lt-data">{head}<ul>{"".join(items)}</ul></details>'


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
    return _frame_html(result) if hasattr(result, "itertuples") else f"<pre>{escape(str(result))}</pre>"


def _close(figure: Any) -> None:
    """Close a figure, so that the inline backend does not show it a second time."""
    import matplotlib.pyplot as plt

    plt.close(figure)


def _own_declaration(name: str | None, parameters: Mapping[str, Any]) -> declared.Declared:
    """What the running notebook declares: of the file the chain or JupyterLab says, else of the checkout's notebook."""
    said = next((os.environ[key] for key in _OWN_FILE if os.environ.get(key, "").endswith(".ipynb")), None)
    if said is not None and Path(said).is_file():
        pages = declared.of_notebook(declared.read_notebook(Path(said)), Path(said))
        if name in (None, pages[0].notebook):
            return declared.choose(pages, parameters)
    if name is None:
        raise SettingError("cannot tell which notebook this is; write notebook.setup('chapter/name', ...)")
    return declared.find(name, parameters)


def _machine(page: Page) -> dict[str, str]:
    import torch

    from ltlib import profiles

    device = f"{os.cpu_count()} CPU cores"
    if torch.cuda.is_available():
        device = f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"
    with contextlib.suppress(ImportError):
        import psutil

        device += f", {psutil.virtual_memory().total / 2**30:.0f} GiB memory"
    threads = torch.get_num_threads()
    rows = {
        "profile": f"{page.profile}. {profiles.get(page.profile).summary}",
        "cost": page.declared.cost.get(page.profile, ""),
        "machine": f"{device}; this process uses {threads} {'thread' if threads == 1 else 'threads'}",
        "software": f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"ltlib {declared.package_version()}",
        "parameters": ", ".join(f"{key} = {value!r}" for key, value in page.parameters.items()),
    }
    return {key: value for key, value in rows.items() if value}


def _machine_text(page: Page) -> str:
    return "\n".join(f"{key}: {value}" for key, value in _machine(page).items())
