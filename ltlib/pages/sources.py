"""Where everything comes from: the page ``references.html``, and links to it where a page names a method.

A method's name leads to its entry there, which has its reference, its settings and the module with its equation or
code, whose text is folded on the same page: like all pages it needs nothing outside its folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ltlib import files
from ltlib.pages.closure import PACKAGE
from ltlib.published import references
from ltlib.version import __version__

PAGE, BIBTEX = "references.html", "references.bib"
_APART = re.compile(
    r"<(a|pre|script|style|svg|math|h\d)\b.*?</\1>|<(th|td|code)\b([^>]*)>([^<>]+)</\2>|<table\b", re.DOTALL
)
_SETTINGS = re.compile(r"\s*(\[[^\]]*\]|\([^)]*\))$")


def write(folder: Path, style: str, script: str, render: Any) -> None:
    """Write the page of references and the BibTeX file beside it.

    Args:
        folder: The profile's folder of reports.
        style: What every page's look is made of.
        script: What every page runs.
        render: The template, as ``jinja2.Template.render``.
    """
    entries = methods()
    shown = dict.fromkeys(entry["module"] for entry in entries)
    values = {
        "references": references.bibliography(),
        "methods": entries,
        "kinds": kinds(),
        "modules": {name: (PACKAGE / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8") for name in shown},
        "bibtex": BIBTEX,
        "version": __version__,
        "style": style,
        "script": script,
    }
    files.write_text(folder / PAGE, render(**values))
    files.write_text(folder / BIBTEX, references.text())


def methods() -> list[dict[str, Any]]:
    """Every method of the package: id, name, summary, source in words and pieces, settings, module under ``ltlib``."""
    from ltlib.labels import label
    from ltlib.methods import METHODS
    from ltlib.registry import format_value

    homes = _homes()
    return [
        {
            "id": entry.name,
            "name": label(entry.name),
            "summary": entry.summary.replace("`", ""),
            "source": entry.source,
            "pieces": references.pieces(entry.source),
            "settings": ", ".join(f"{key} {format_value(value)}" for key, value in entry.defaults.items()),
            "module": homes[entry.name],
        }
        for entry in METHODS
        if not entry.own
    ]


def kinds() -> dict[str, list[dict[str, Any]]]:
    """What else has a source, by kind: data sets, losses, networks, samplers, mixtures, recipes, ..."""
    from ltlib import losses, mixing, models, recipes
    from ltlib.batches import draws
    from ltlib.datasets import resampling
    from ltlib.datasets.base import DATASETS
    from ltlib.labels import label

    registries: Mapping[str, Any] = {
        "Data sets": DATASETS,
        "Losses": losses.LOSSES,
        "Networks": models.MODELS,
        "Samplers": draws.SAMPLERS,
        "Mixtures": mixing.MIXINGS,
        "Resampling": resampling.RESAMPLERS,
        "Recipes": recipes.RECIPES,
        "Optimizers": recipes.OPTIMIZERS,
    }
    return {
        kind: [
            {
                "id": entry.name,
                "name": label(entry.name),
                "summary": entry.summary.replace("`", ""),
                "source": entry.source,
                "pieces": references.pieces(entry.source),
            }
            for entry in registry
            if not entry.own
        ]
        for kind, registry in registries.items()
    }


def _homes() -> dict[str, str]:
    """Each method's module, where its equation or code is: what the documents' catalogue says, else its factory's."""
    from ltlib import losses, published
    from ltlib.methods import METHODS

    said = {row["id"]: row["module"] for row in published.methods().to_dict("records") if row["kind"] == "method"}
    found = {}
    for entry in METHODS:
        if entry.own:
            continue
        own = entry.factory.__module__.removeprefix("ltlib.")
        if own == "methods.from_losses":  # a loss by itself
            own = losses.LOSSES.get(entry.name).factory.__module__.removeprefix("ltlib.")
        found[entry.name] = said.get(entry.name, own)
    return found


@cache
def names() -> dict[str, str]:
    """What a page may call a method or a document, to its anchor in `PAGE`.

    A method has its id, its usual name and what the documents' rows are called; an id that is a document's too is the
    document.
    """
    from ltlib import grids, published
    from ltlib.labels import label
    from ltlib.methods import METHODS

    found: dict[str, str] = {}
    for document in grids.DOCUMENTS.values():
        for row, name in document.names.items():
            back = {own: method for method, own in document.rows.items()}
            method = back.get(row, row)
            if method in METHODS:
                found.setdefault(name, f"method-{METHODS.get(method).name}")
    for entry in METHODS:
        found |= dict.fromkeys((label(entry.name), entry.name), f"method-{entry.name}")
    return found | {document: document for document in published.documents()}


def linked(html: str, up: str) -> str:
    """A page's HTML with the first name of each method and document in a table, and in the text as code, linked.

    Only what is a cell's or a piece of code's whole text counts as a name, its settings left aside; what stands inside
    a link, a heading or a block of code stays as it is.

    Args:
        html: The page.
        up: From the page to the folder of `PAGE`, as ``../``.
    """
    known, seen = names(), set[str]()

    def replace(hit: re.Match[str]) -> str:
        if hit[2] is None:
            if hit[0] == "<table":
                seen.clear()
            return hit[0]
        anchor = known.get(hit[4].strip()) or known.get(_SETTINGS.sub("", hit[4].strip()))
        if anchor is None or anchor in seen:
            return hit[0]
        seen.add(anchor)
        return f'<{hit[2]}{hit[3]}><a class="lt-ref" href="{up}{PAGE}#{anchor}">{hit[4]}</a></{hit[2]}>'

    return _APART.sub(replace, html)


def line(key: str) -> dict[str, str]:
    """A document's reference for the head of its pages: title, authors, year and address."""
    entry = references.get(key)
    return {"title": entry.title, "authors": entry.authors, "year": entry.year, "link": entry.link}


def digest() -> str:
    """SHA-256 of what links and lines of a page depend on."""
    return files.digest(files.canonical_json([references.text(), sorted(names().items())]))
