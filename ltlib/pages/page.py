"""A page being made: what the cells of its notebook show is collected, and the last cell asks whether all is there.

A page knows what its notebook declares. Whatever a cell shows is ticked off; `Page.finish`, the last cell, fails when a
declared table or figure was neither shown nor declared missing with its reason.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltlib import files, places, profiles
from ltlib.errors import IncompleteError, SettingError
from ltlib.pages import html
from ltlib.pages.declared import Declared
from ltlib.pages.names import address, kind_and_number, label, slug
from ltlib.pages.standing import Judgement

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SENTINEL = "application/vnd.ltlib.page+json"
_SHORTEST_ALT = 15  # characters: less says nothing


class Page:
    """One notebook being executed.

    Attributes:
        declared: What the notebook declares.
        profile: The profile it runs in.
        frames: Comparison tables shown so far, by number.
    """

    def __init__(self, declared: Declared, profile: str):
        self.declared, self.profile = declared, profile
        self.frames: dict[str, pd.DataFrame] = {}
        self._runs: dict[str, Any] = {}
        self._failures: dict[str, str] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        self._figures: dict[str, dict[str, Any]] = {}
        self._missing: list[dict[str, Any]] = []
        self._claims: list[dict[str, Any]] = []
        self._folds: list[list[html.Shown]] = []
        self._told: dict[str, tuple[Any, ...]] = {}

    # --- where things lie --------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The folder of this profile's pages, figures, tables and run cards."""
        return places.reports_folder() / self.profile

    def link(self, target: Path) -> str:
        """The address of a file, from the page in the chain, else from the working directory."""
        return address(target, Path(os.environ.get("LTLIB_PAGE_FOLDER") or Path.cwd()))

    def show(self, shown: html.Shown) -> None:
        """Display something in the cell, or keep it for the fold that is open."""
        if self._folds:
            self._folds[-1].append(shown)
            return
        from IPython.display import display

        display(shown)

    @contextlib.contextmanager
    def fold(self, summary: str) -> Iterator[None]:
        """Show what the block shows under one line that opens it: what proves a finding, and not the finding.

            with page.fold("The 21 sentences, each with the numbers behind both answers"):
                claims.show(page, judged)

        A link to something inside opens it. What the block has shown when it raises is shown too. Sliders of a live
        kernel do not go into a fold; they stand above it.

        Args:
            summary: The line, which says what a reader finds there.
        """
        self._folds.append([])
        try:
            yield
        finally:
            held = self._folds.pop()
            if held:
                self.show(html.fold(summary, held))

    def _card(self, run_id: str) -> str:
        return f"{self.link(self.root / 'runs' / run_id)}.html"

    def _stamped(self, runs: Iterable[Any] | None, saved: Iterable[Path]) -> str:
        """Where a figure or table comes from, and its saved files; None means every run of the page so far."""
        used = list(self._runs.values() if runs is None else runs)
        self._use(used)
        prints = sorted({str(run.fingerprint)[:8] for run in used if getattr(run, "fingerprint", None)})
        stamp = html.stamp(self.profile, [(run.id, self._card(run.id)) for run in used], prints)
        return f"{stamp} · {html.links((path, self.link(path)) for path in saved)}"

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
        runs = sweep.RunList()
        if experiments:  # a page shows what there is, and says what failed
            runs = sweep.run_all(experiments, label=grid, train=self._trains, strict=False)
        self._use(runs)
        if impossible and not quiet:
            self.show(html.left_out(grid, self.profile, [item.reason for item in impossible.values()]))
        self._failures |= runs.failures
        for shown in html.failures(grid, runs.failures):
            self.show(shown)
        return runs

    @property
    def _trains(self) -> bool:
        """Whether a missing run is trained here and now.

        Not in the chain, which trains before it executes and has its reasons for what is left (a budget, a failure,
        data that cannot be had), and not for the paper profile without a GPU. ``LTLIB_TRAIN`` set to 0 or 1 decides.
        """
        if said := places.variable("LTLIB_TRAIN"):
            return said != "0"
        if self.profile != "paper":
            return True
        from ltlib.training import accelerator

        return accelerator.device().type != "cpu"

    def _use(self, runs: Iterable[Any]) -> None:
        """The page rests on these runs: it is stamped with them and their cards are written."""
        self._runs |= {run.id: run for run in runs}

    # --- tables ------------------------------------------------------------------------------------------------------

    def table(
        self,
        document: str,
        table: str,
        runs: Iterable[Any] | None = None,
        finding: Callable[[pd.DataFrame, str], str] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> None:
        """Show a published table: printed beside ours, difference, runs, interval, verdict.

        One that none of the runs fills has the printed numbers alone, and is folded.

        Args:
            document: Document id.
            table: Number of the table.
            runs: The runs to compare; None takes every run of the page so far.
            finding: What it says, from the comparison and the profile's name: the sentences above the table.
            where: As of `tables.compare`, where a page is about a part of the table.
        """
        from ltlib import tables

        used = list(self._runs.values() if runs is None else runs)
        self._use(used)
        frame = tables.compare(used, document, table, self.profile, where)
        number = str(table) if document == self.declared.document else f"{document}/{table}"
        own = {run_id for ids in frame["run_ids"] for run_id in ids}
        if finding is not None:
            self.say(finding(frame, self.profile))
        closed = f"{label('table', number)} as printed: {len(frame)} cells, none of them run in {self.profile}"
        with contextlib.nullcontext() if own or self._folds else self.fold(closed):
            self._show_table(number, frame, f"of {document}", [run for run in used if run.id in own])

    def frame(self, number: str, frame: pd.DataFrame, caption: str = "", runs: Iterable[Any] | None = None) -> None:
        """Show any other frame under a declared table number; a frame of `tables.compare_cells` as a comparison."""
        self._show_table(str(number), frame, caption, [] if runs is None else list(runs))

    def sentences(self, name: str, frame: pd.DataFrame, caption: str = "") -> None:
        """Show a table of sentences, whose cells wrap; it is not declared and not saved."""
        self.show(html.sentences(name, caption, frame))

    def _show_table(self, number: str, frame: pd.DataFrame, caption: str, runs: list[Any]) -> None:
        from ltlib.tables import exports, findings

        anchor = slug("table", number)
        saved = exports.save(frame, self.root / "tables" / self.declared.id / anchor, caption)
        verdicts = {}
        if exports.is_comparison(frame):
            verdicts = {str(verdict): int(n) for verdict, n in frame["verdict"].value_counts().items()}
        stamp = self._stamped(runs, [path for path in saved if path.suffix != ".html"])
        self.show(html.table(number, caption, frame, verdicts, stamp, self._card))
        self.frames[number] = frame
        self._tables[number] = {"anchor": anchor, "caption": caption, "verdicts": verdicts, "rows": len(frame)}
        if verdicts:
            self._tables[number] |= {"filled": int((frame["n"] > 0).sum()), "cells": findings.cells(frame)}

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
        from ltlib.pages import explore
        from ltlib.plots import export

        alt = " ".join((alt if alt is not None else getattr(figure, "alt", "")).split())
        if len(alt) < _SHORTEST_ALT:
            raise SettingError(f"figure {number} needs an alt text that says what it shows, with its numbers")
        if data is None and getattr(figure, "data", None):
            data = figure.frame()  # type: ignore[attr-defined]
        anchor = slug("figure", number)
        stem = self.root / "figures" / self.declared.id / anchor
        saved = export.save(figure, stem, data, profiles.get(self.profile).figures, html.EMBED_SVG)
        explore.close(figure)
        self.show(html.figure(number, html.embedded(stem), alt, caption, self._stamped(runs, saved), data))
        self._figures[str(number)] = {"anchor": anchor, "alt": alt, "caption": caption}

    def missing(self, what: str | Sequence[str], reason: str, command: str | None = None) -> None:
        """Stand in for declared tables or figures that cannot be made here; several share one box.

        Args:
            what: The number as declared (``"4"``), or ``"table 4"`` where a table and a figure share it; or several.
            reason: Why, in one sentence.
            command: What would fill it.
        """
        texts = [what] if isinstance(what, str) else what
        items = [kind_and_number(text, self.declared.tables, self.declared.figures) for text in texts]
        self.show(html.missing(items, reason, command))
        self._missing += [{"kind": k, "number": n, "reason": reason, "command": command} for k, n in items]

    # --- words -------------------------------------------------------------------------------------------------------

    def claim(
        self,
        text: str,
        source: str,
        answer: bool | None,
        evidence: str,
        printed: Judgement | None = None,
        everywhere: bool = False,
        runs: int | None = None,
        share: str = "",
        rule: str = "",
    ) -> None:
        """Judge a sentence of a document.

        Args:
            text: What the document claims.
            source: Where (``"cefl, section 4.2"``).
            answer: True agrees, False contradicts, None cannot be told from what was run.
            evidence: The numbers behind the answer.
            printed: What the document's own printed numbers say of the sentence.
            everywhere: The answer rests on a formula, not on runs, and so holds in every profile.
            runs: How many runs a side carry the answer; None where it rests on none. Below three it is at most seen.
            share: As of `standing.Judgement`.
            rule: How the sentence is read and judged.
        """
        ours = Judgement(None if answer is None else bool(answer), evidence, runs, share)
        confined = None if everywhere or self.profile == "paper" else self.profile
        self.show(html.claim(text, source, ours, printed, confined, rule))
        record: dict[str, Any] = {"text": text, "source": source, "answer": ours.answer, "evidence": evidence}
        record |= {"runs": runs, "rule": rule}
        if printed:
            record |= {"printed": printed.answer, "printed_evidence": printed.evidence}
        self._claims.append(record)

    def say(self, text: str) -> None:
        """Show a paragraph of the page's own text, made from numbers by the caller."""
        self.show(html.say(text))

    def note(self, text: str) -> None:
        """Show a remark."""
        self.show(html.note(text))

    def notes(
        self, document: str, table: str | None = None, figure: str | None = None, numbers: Sequence[int] = ()
    ) -> None:
        """Show the known inconsistencies of the source next to the table or figure they concern, each once.

        What concerns several tables stands in full beside the first, on the page with the first; elsewhere a link leads
        there.

        Args:
            document: The document.
            table: Only what concerns this table.
            figure: Only what concerns this figure.
            numbers: Only these, by their number in `published`.
        """
        from ltlib.pages import remarks

        found = remarks.points(document, table, figure, numbers)
        told, elsewhere = remarks.divided(found, self.declared.id, self._told, (table, figure, *numbers))
        again = [
            (f"{self.link(self.root / page.id)}.html#{p.anchor}", f"on “{page.title}”")
            if page
            else (f"#{p.anchor}", "above")
            for p, page in elsewhere
        ]
        if told or again:
            self.show(html.notes([(p.anchor, p.text) for p in told], again))

    def explore(self, function: Callable[..., Any], static: Iterable[Any], **widgets: Any) -> None:
        """Sliders in a live kernel; where nobody can move them, the same function at a few fixed settings.

        Args:
            function: Takes the widgets' values by name and returns a figure, a frame or text.
            static: The fixed settings: mappings of names to values, or bare values of a single widget.
            **widgets: What `ipywidgets.interact` takes: ranges, lists, or widgets.
        """
        from ltlib.pages import explore

        panels = explore.explore(function, static, widgets)
        if panels is not None:
            self.show(panels)

    # --- the end -----------------------------------------------------------------------------------------------------

    def open_items(self) -> list[str]:
        """Declared tables and figures neither shown nor declared missing."""
        gone = {(item["kind"], item["number"]) for item in self._missing}
        left = [f"table {n}" for n in self.declared.tables if n not in self._tables and ("table", n) not in gone]
        left += [f"figure {n}" for n in self.declared.figures if n not in self._figures and ("figure", n) not in gone]
        return left

    def record(self) -> dict[str, Any]:
        """What the page holds, as JSON-ready values; a table's ``cells`` are for the index's findings."""
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
        from ltlib.tables import findings

        if self._runs:
            from ltlib.pages import cards
            from ltlib.runs import provenance

            cards.write_cards(self._runs.values(), self.root)
            if hardware := provenance.told(self._runs.values()):
                self.show(html.note(hardware))
        record = self.record() | {"facts": [findings.fact(self._runs[name]) for name in sorted(self._runs)]}
        if place := os.environ.get("LTLIB_SENTINEL"):
            files.write_json(Path(place), record)
        counts = [("table", len(self._tables)), ("figure", len(self._figures)), ("run", len(self._runs))]
        done = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for word, n in counts if n)
        done += f"{', ' if done else ''}{len(self._missing)} missing with a reason" if self._missing else ""
        # no time of day, no duration: equal runs give equal copies
        text = f"Nothing here yet: no run fills a cell of its tables ({done})." if self.empty else f"Complete: {done}."
        self.show(html.note(text, {SENTINEL: json.loads(json.dumps(record))}))

    @property
    def empty(self) -> bool:
        """Whether the page declares tables of printed numbers and no run fills a cell of one that was shown."""
        filled = [self._tables[n]["filled"] for n in self.declared.tables if "filled" in self._tables.get(n, {})]
        return bool(filled) and not any(filled)
