"""The index of a profile: what was found, the documents and their tables, how things stand, pages, gallery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ltlib
from ltlib import files, grids, profiles, progress, published
from ltlib.pages import cards, names, order, sources, standing
from ltlib.pages.declared import Declared
from ltlib.pages.report import PageState, assets, environment
from ltlib.published import references
from ltlib.tables import findings

_GOOD_VERDICTS = ("reproduced",)
_STATES = {"fresh": "fresh", "stale": "stale", "failed": "failed", "missing": "missing", "empty": "with nothing yet"}


def write_index(folder: Path, profile: str, states: Sequence[PageState]) -> None:
    """Write the index of a profile and the page of sources beside it.

    Args:
        folder: The profile's folder of reports.
        profile: Its name.
        states: Every page, in reading order.
    """
    boxes = _boxes(states)
    verdicts: dict[str, int] = {}
    for box in (box for own in boxes.values() for box in own):
        for verdict, count in box["verdicts"].items():
            verdicts[verdict] = verdicts.get(verdict, 0) + count
    others = [name for name in profiles.PROFILES if name != profile and (folder.parent / name / "index.html").is_file()]
    pages = [item.page for item in states]
    twins = {page.id: twin for page in pages if (twin := order.twin(page, pages, profile)) is not None}
    look = {"style": assets("cells.css", "style.css"), "script": assets("page.js")}
    gallery: list[dict[str, Any]] = [
        {"state": item, "twin": twins.get(item.page.id), "figures": _figures(folder, item)}
        for item in states
        if item.html and item.record.get("figures")
    ]
    text = (
        environment()
        .get_template("index.html.j2")
        .render(
            profile=profile,
            statement=profiles.get(profile).summary,
            stands_in=bool(profiles.get(profile).stand_ins),
            findings=_findings(folder, states, profile),
            few=f"{100 * findings.FEW:g}",
            states=states,
            twins=twins,
            counts={word: sum(s.state == word for s in states) for word in _STATES},
            words=_STATES,
            documents=[_document(name, boxes.get(name, []), states) for name in _documents(boxes)],
            verdicts=verdicts,
            claims=standing.counted(claim for s in states for claim in s.record.get("claims", ())),
            gallery=gallery,
            figures=sum(len(own["figures"]) for own in gallery),
            seconds=progress.duration(sum(s.seconds for s in states)),
            runs=len({run for s in states for run in s.record.get("runs", ())}),
            others=others,
            version=ltlib.__version__,
            **look,
        )
    )
    files.write_text(folder / "index.html", text)
    cards.link_pages(folder, _shown(states))
    sources.write(folder, render=environment().get_template("references.html.j2").render, **look)


def _findings(folder: Path, states: Sequence[PageState], profile: str) -> list[findings.Sentence]:
    """The five sentences, from what the pages that are here deposited."""
    here = [item for item in states if item.html]
    facts = {fact["id"]: fact for item in here for fact in item.record.get("facts", ())}
    homes = [f"{document.id}/{document.home}" for document in grids.DOCUMENTS.values() if document.home and facts]
    home = {experiment.run_id for name in homes for experiment in grids.experiments(name, profile)[0]}
    own = [fact for name, fact in facts.items() if name in home] or list(facts.values())
    tables = [
        {
            "document": item.page.document,
            "name": f"{names.label('table', number)} of {item.page.document}",
            "link": f"{item.html}#{names.slug('table', number)}",
            "rows": info["rows"],
            "cells": info["cells"],
        }
        for item in here
        for number, info in item.record.get("tables", {}).items()
        if info.get("cells") is not None
    ]
    board = {fact["id"] for fact in own}
    # of several pages with as many of them, the last in reading order is the one that compares
    most = max(reversed(here), key=lambda item: len(board & set(item.record.get("runs", ()))), default=None)
    page = most.html if board and most is not None else None
    paper = "../paper/index.html" if (folder.parent / "paper" / "index.html").is_file() else ""
    return findings.sentences(own, tables, profile, page=page or "", paper=paper)


def _documents(boxes: Iterable[str]) -> list[str]:
    return [*published.documents(), *(name for name in boxes if name not in published.documents())]


def _document(name: str, boxes: list[dict[str, Any]], states: Sequence[PageState]) -> dict[str, Any]:
    """A document as the index shows it: its reference, what it is, its pages and tables."""
    known = name in published.documents()
    printed = len(published.tables(name)) if known else 0
    drawn = [(item, [n.partition("/")[2] for n in item.page.figures if n.startswith(f"{name}/")]) for item in states]
    return {
        "id": name,
        "drawn": [
            (item, f"Figure{'s' * (len(n) > 1)} {names.ranges(n)} {'are' if len(n) > 1 else 'is'}")
            for item, n in drawn
            if n
        ],
        "reference": references.get(name) if known else None,
        "what": published.title(name) if known else name,
        "boxes": boxes,
        "pages": [item for item in states if item.page.document == name],
        "printed": printed,
    }


def _boxes(states: Sequence[PageState]) -> dict[str, list[dict[str, Any]]]:
    """The tables of each document that a page declares, in their own order."""
    boxes: dict[str, list[dict[str, Any]]] = {}
    for item in states:
        for number in item.page.tables:
            if item.page.document and "/" not in number:
                boxes.setdefault(item.page.document, []).append(_table_box(item, number))
    for own in boxes.values():
        own.sort(key=lambda box: order.natural(box["number"]))
    return boxes


def _shown(states: Iterable[PageState]) -> dict[str, list[tuple[str, str]]]:
    """Title and address of the pages that show a run, by its id."""
    found: dict[str, list[tuple[str, str]]] = {}
    for item in states:
        for run_id in item.record.get("runs", ()) if item.html else ():
            found.setdefault(run_id, []).append((item.page.title, str(item.html)))
    return found


def _table_box(item: PageState, number: str) -> dict[str, Any]:
    info, page = item.record.get("tables", {}).get(number, {}), item.page
    variant = page.id.removeprefix(f"{page.notebook}-") if page.notebook not in ("", page.id) else ""
    gone = {(m["kind"], m["number"]): m["reason"] for m in item.record.get("missing", ())}
    verdicts = info.get("verdicts", {})
    state = item.state if info or ("table", number) in gone or item.state != "fresh" else "missing"
    if ("table", number) in gone:
        state = "missing"
    elif state == "fresh" and info.get("filled") == 0:
        state = "empty"
    return {
        "number": number,
        "part": variant.replace("_", " "),
        "state": state,
        "reason": gone.get(("table", number), item.reason),
        "verdicts": verdicts,
        "good": sum(verdicts.get(word, 0) for word in _GOOD_VERDICTS),
        "compared": sum(n for word, n in verdicts.items() if word not in ("not run", "not comparable")),
        "cells": sum(verdicts.values()),
        "link": f"{item.html or item.failed_html}#{names.slug('table', number)}"
        if item.html or item.failed_html
        else None,
        "page": item.page,
    }


def _figures(folder: Path, item: PageState) -> list[dict[str, Any]]:
    """A page's figures for the gallery: picture, address, and a caption as a person would write it."""
    found = []
    for number, info in item.record.get("figures", {}).items():
        source = _thumbnail(folder, item.page, info["anchor"])
        if source:
            link = f"{item.html}#{info['anchor']}"
            found.append(
                {"source": source, "link": link, "alt": info["alt"], "caption": _caption(item.page, number, info)}
            )
    return found


def _caption(page: Declared, number: str, info: dict[str, Any]) -> str:
    """Number or name, whose figure it is where the page is not its document's, and what it shows."""
    document, _, own = number.rpartition("/")
    name = names.label("figure", own) + (f" of {document}" if document else "")
    text = (info["caption"] or info["alt"]).strip()
    first = text.split(". ")[0].rstrip(".")
    return f"{name}: {first[:1].lower() + first[1:] if first[1:2].islower() else first}."


def _thumbnail(folder: Path, page: Declared, name: str) -> str | None:
    """Address of the smaller of the saved forms of a figure."""
    saved = [folder / "figures" / page.id / f"{name}.{ending}" for ending in ("svg", "png")]
    there = [path for path in saved if path.is_file()]
    return min(there, key=lambda p: p.stat().st_size).relative_to(folder).as_posix() if there else None
