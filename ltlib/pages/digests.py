"""What a notebook's text says and what its code means, as digests; an executed copy under a newer text."""

from __future__ import annotations

import ast
import threading
from collections.abc import Mapping
from typing import Any

from ltlib import files

_PARSING = threading.Lock()


def parse(source: str) -> ast.Module:
    """`ast.parse`, one thread at a time: in Python 3.11 two at once can fail with a SystemError (cpython 106905)."""
    with _PARSING:
        return ast.parse(source)


def code_digest(notebook: Mapping[str, Any]) -> str:
    """SHA-256 of what the code cells mean: comments, blank lines and layout do not count."""
    parts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        try:
            parts.append(ast.dump(parse(cell["source"])))
        except SyntaxError:  # a magic, or a cell that will fail: its text counts
            parts.append(cell["source"])
    return files.digest("\n".join(parts))


def text_digest(notebook: Mapping[str, Any]) -> str:
    """SHA-256 of the order of the cells, the Markdown, its pictures and the layout of the code as a page shows it."""
    parts = []
    for cell in notebook["cells"]:
        pictures = [cell["attachments"]] if cell.get("attachments") else []
        parts.append([cell["cell_type"], cell["source"], *pictures])
    return files.digest(files.canonical_json(parts))


def with_text(executed: Mapping[str, Any], notebook: Mapping[str, Any]) -> dict[str, Any]:
    """An executed copy with the Markdown and the code layout of the notebook as it is now.

    The code cells must mean the same in both (equal `code_digest`): outputs are carried over in order.
    """
    injected = [c for c in executed["cells"] if "injected-parameters" in c.get("metadata", {}).get("tags", ())]
    done = iter([c for c in executed["cells"] if c["cell_type"] == "code" and c not in injected])
    cells: list[dict[str, Any]] = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            old = next(done)
            cell = cell | {"outputs": old["outputs"], "execution_count": old["execution_count"]}
        cells.append(cell)
        if "parameters" in cell.get("metadata", {}).get("tags", ()):
            cells += injected
    return {**notebook, "cells": cells}
