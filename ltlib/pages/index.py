"""The index of a profile: documents and their tables, states, verdicts, gallery, cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ltlib
from ltlib import files, profiles, progress
from ltlib.pages import standing
from ltlib.pages.declared import Declared
from ltlib.pages.names import slug
from ltlib.pages.report import PageState, assets, environment

_GOOD_VERDICTS = ("reproduced",)


def write_index(folder: Path, profile: str, states: Sequence[PageState]) -> None:
    """Write the index of a profile: documents and their tables, verdicts, gallery, cost."""
    documents: dict[str, list[dict[str, Any]]] = {}
    for item in states:
        for number in item.page.tables:
            document, own = (number.split("/", 1) if "/" in number else (item.page.document or "", number))[:2]
            if item.page.document and "/" not in number:
                documents.setdefault(document, []).append(_table_box(item, own))
    for boxes in documents.values():
        boxes.sort(key=lambda box: _natural(box["number"]))
    figures = [
        {
            "number": number,
            "page": item.page,
            "stale": item.state != "fresh",
            "link": f"{item.html}#{info['anchor']}",
            "source": _thumbnail(folder, item.page, info["anchor"]),
            **info,
        }
        for item in states
        if item.html
        for number, info in item.record.get("figures", {}).items()
    ]
    verdicts: dict[str, int] = {}
    for boxes in documents.values():
        for box in boxes:
            for verdict, count in box["verdicts"].items():
                verdicts[verdict] = verdicts.get(verdict, 0) + count
    others = [name for name in profiles.PROFILES if name != profile and (folder.parent / name / "index.html").is_file()]
    text = (
        environment()
        .get_template("index.html.j2")
        .render(
            profile=profile,
            statement=profiles.get(profile).summary,
            states=states,
            counts={word: sum(s.state == word for s in states) for word in ("fresh", "stale", "failed", "missing")},
            documents=documents,
            titles=_titles(documents),
            verdicts=verdicts,
            claims=standing.counted(claim for s in states for claim in s.record.get("claims", ())),
            figures=[figure for figure in figures if figure["source"]],
            seconds=progress.duration(sum(s.seconds for s in states)),
            runs=len({run for s in states for run in s.record.get("runs", ())}),
            others=others,
            version=ltlib.__version__,
            duration=progress.duration,
            style=assets("cells.css", "style.css"),
            script=assets("page.js"),
        )
    )
    files.write_text(folder / "index.html", text)


def _table_box(item: PageState, number: str) -> dict[str, Any]:
    info = item.record.get("tables", {}).get(number, {})
    gone = {(m["kind"], m["number"]): m["reason"] for m in item.record.get("missing", ())}
    verdicts = info.get("verdicts", {})
    state = item.state if info or ("table", number) in gone or item.state != "fresh" else "missing"
    if ("table", number) in gone:
        state = "missing"
    return {
        "number": number,
        "state": state,
        "reason": gone.get(("table", number), item.reason),
        "verdicts": verdicts,
        "good": sum(verdicts.get(word, 0) for word in _GOOD_VERDICTS),
        "compared": sum(n for word, n in verdicts.items() if word not in ("not run", "not comparable")),
        "cells": sum(verdicts.values()),
        "link": f"{item.html or item.failed_html}#{slug('table', number)}" if item.html or item.failed_html else None,
        "page": item.page,
    }


def _thumbnail(folder: Path, page: Declared, name: str) -> str | None:
    """Address of the smaller of the saved forms of a figure."""
    saved = [folder / "figures" / page.id / f"{name}.{ending}" for ending in ("svg", "png")]
    there = [path for path in saved if path.is_file()]
    return min(there, key=lambda p: p.stat().st_size).relative_to(folder).as_posix() if there else None


def _titles(documents: Iterable[str]) -> dict[str, str]:
    from ltlib import published

    known = published.documents()
    return {document: published.title(document) if document in known else document for document in documents}


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Sort key by which 5.9 stands before 5.10 and A.1 after both."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|[A-Za-z]+", text)]
