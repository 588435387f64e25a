"""A notebook in canonical form from a declaration and a few cells; a cell run as a kernel runs it."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltlib import files
from ltlib.pages import canonical, declared


def write_notebook(path: Path, raw: Mapping[str, Any], cells: Sequence[tuple[str, str]]) -> None:
    """Write a notebook from its declaration and ``(kind, source)`` cells.

    Kinds: ``markdown``, ``code`` and ``parameters`` (the code cell with that tag). Where they are missing, a
    parameters cell, the setup call and the closing ``page.finish()`` are put in.
    """
    body = list(cells)
    if not any(kind == "parameters" for kind, _ in body):
        setup = f'from ltlib import notebook\n\npage = notebook.setup("{raw["id"]}", profile=profile)'
        body = [("parameters", 'profile = "quick"'), ("code", setup), *body]
    if "page.finish()" not in body[-1][1]:
        body.append(("code", "page.finish()"))
    nodes = [
        {
            "cell_type": "markdown" if kind == "markdown" else "code",
            "metadata": {"tags": ["parameters"]} if kind == "parameters" else {},
            "source": source,
        }
        for kind, source in body
    ]
    notebook = {"cells": nodes, "metadata": {"ltlib": dict(raw)}}
    declared.of_notebook(notebook, path)
    files.write_text(path, canonical.canonical(notebook))


def run_cell(text: str, name: str, space: dict[str, Any]) -> None:
    """Run a text as IPython does: its source is known under the cell's name, which no other cell has."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    for statement in ast.parse(text).body:  # one by one
        exec(compile(ast.Module([statement], []), name, "exec"), space)
