"""The one form in which notebooks are kept.

It has no outputs, no execution counts, readable cell ids, LF, an indent of one and sorted keys, so that two edits of
one notebook differ only where they differ.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ltlib import files, places
from ltlib.errors import DataError
from ltlib.pages.declared import of_notebook, parameters, read_notebook
from ltlib.pages.digests import parse
from ltlib.pages.names import ranges
from ltlib.version import __version__

_PROFILES = ("quick", "laptop", "paper")
_READABLE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RANDOM = re.compile(r"(?=.*\d)[0-9a-f]{8}(-[0-9a-f-]{27})?|[0-9a-f]{12,}")
_HOME = re.compile(r"(/home/|/Users/|/root/|[A-Za-z]:\\\\?Users\\)")
_LONG_CELL = 24
_FOLD = re.compile(r"^</?details>", re.MULTILINE)


def repository() -> str | None:
    """The repository's address in pyproject's ``[project.urls]``, or None while there is none."""
    top = places.checkout()
    if top is None:
        return None
    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    return address.rstrip("/").removesuffix(".git") if address else None


def header(raw: Mapping[str, Any], address: str | None = None, version: str = "main") -> str:
    """The first cell, made from the metadata: title, badge, question, what is regenerated, cost."""
    lines = [f"# {raw['title']}", ""]
    if address and "github.com/" in address:
        place = address.split("github.com/", 1)[1]
        link = f"https://colab.research.google.com/github/{place}/blob/{version}/notebooks/{raw['id']}.ipynb"
        lines += [f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})", ""]
    lines += [f"**{raw['question']}**", ""]
    variants = (raw.get("variants") or {}).values()
    tables = [*raw.get("tables", ()), *(n for own in variants for n in own.get("tables", ()))]
    figures = [*raw.get("figures", ()), *(n for own in variants for n in own.get("figures", ()))]
    plain = [number for number in figures if number[:1].isdigit() or re.match(r"[A-Z]\.", number)]
    named = [number for number in figures if number not in plain]
    pairs = (("table", tables), ("figure", plain))
    what = [f"{word}{'s' if len(numbers) > 1 else ''} {ranges(numbers)}" for word, numbers in pairs if numbers]
    what += named
    if what and raw.get("document"):
        lines += [f"Regenerates {', '.join(what)} of `{raw['document']}`.", ""]
    if raw.get("cost"):
        lines += ["<details><summary>What each profile costs</summary>", "", "| profile | cost |", "|---|---|"]
        lines += [f"| `{profile}` | {raw['cost'][profile]} |" for profile in _PROFILES if profile in raw["cost"]]
        lines += ["", "</details>"]
    return "\n".join(lines).strip()


def bootstrap(address: str, version: str) -> str:
    """The second cell: on Colab it installs the package and leaves torch and numpy alone; elsewhere it does nothing."""
    return (
        "# On Colab: install the package only, never another torch or numpy. Elsewhere: nothing.\n"
        "import importlib.util\n\n"
        'if importlib.util.find_spec("ltlib") is None:\n'
        f'    get_ipython().run_line_magic("pip", \'install -q --no-deps "ltlib @ git+{address}@{version}"\')'
    )


def canonical(notebook: Mapping[str, Any]) -> str:
    """The notebook's one text: header and bootstrap cells made anew, outputs and foreign metadata dropped.

    Pictures pasted into a text stay as long as the text shows them.
    """
    raw = notebook["metadata"]["ltlib"]
    address, version = repository(), f"v{__version__}"
    cells = [c for c in notebook["cells"] if c.get("id") not in ("question", "colab") and c["source"].strip()]
    own = [{"cell_type": "markdown", "id": "question", "metadata": {}, "source": header(raw, address, version)}]
    if address:
        own.append({"cell_type": "code", "id": "colab", "metadata": {}, "source": bootstrap(address, version)})
    taken: set[str] = set()
    result = []
    for cell in [*own, *cells]:
        source = "\n".join(line for line in cell["source"].replace("\r\n", "\n").strip("\n").split("\n")).rstrip()
        tags = list(cell.get("metadata", {}).get("tags", ()))
        clean: dict[str, Any] = {
            "cell_type": cell["cell_type"],
            "id": _cell_id(cell | {"source": source}, taken),
            "metadata": {"tags": tags} if tags else {},
            "source": source.splitlines(keepends=True),
        }
        if cell["cell_type"] == "code":
            clean |= {"execution_count": None, "outputs": []}
        elif pasted := attachments(cell):
            clean["attachments"] = pasted
        result.append(clean)
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "ltlib": raw,
    }
    whole = {"cells": result, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def attachments(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The pictures pasted into a cell that its text shows, each by name, with its kind and its base64."""
    shown = cell["source"]
    return {
        name: forms
        for name, forms in cell.get("attachments", {}).items()
        if f"attachment:{name}" in shown or f"attachment:{quote(name)}" in shown
    }


def format_notebook(path: Path) -> bool:
    """Bring a notebook into canonical form; True if its file changed."""
    notebook = read_notebook(path)
    of_notebook(notebook, path)
    text = canonical(notebook)
    if Path(path).read_bytes() == text.encode():
        return False
    files.write_text(path, text)
    return True


def check(path: Path) -> list[str]:
    """What keeps a notebook from being in canonical form and of the agreed shape; empty when nothing does."""
    try:
        notebook = read_notebook(path)
        of_notebook(notebook, path)
        known = parameters(notebook)
    except (DataError, SyntaxError) as error:
        return [str(error)]
    problems = []
    raw, cells = notebook["metadata"]["ltlib"], notebook["cells"]
    if not Path(path).with_suffix("").as_posix().endswith(f"/{raw['id']}"):
        problems.append(f"its id {raw['id']!r} is not its path under notebooks")
    if Path(path).read_bytes() != canonical(notebook).encode():
        problems.append(
            "not in canonical form (outputs, counts, ids, line ends or layout); run: ltlib notebooks format"
        )
    if known.get("profile") != "quick":
        problems.append('the parameters cell must hold profile = "quick"')
    if len(known) > 4:
        problems.append(f"{len(known)} parameters; a reader takes in four")
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    tagged = [i for i, cell in enumerate(code) if "parameters" in cell["metadata"].get("tags", ())]
    if tagged and (len(code) <= tagged[0] + 1 or "setup(" not in code[tagged[0] + 1]["source"]):
        problems.append("the cell after the parameters must call notebook.setup")
    if not code or code[-1]["source"].strip() != "page.finish()" or cells[-1] is not code[-1]:
        problems.append("the last cell must be page.finish()")
    for cell in cells:
        marks = _FOLD.findall(cell["source"]) if cell["cell_type"] == "markdown" else []
        if marks != ["<details>", "</details>"] * (len(marks) // 2):
            problems.append(f"cell {cell['id']} has a fold that it does not close: all below it would be inside")
        if _HOME.search(cell["source"]):
            problems.append(f"cell {cell['id']} names a folder of one machine")
        if cell["cell_type"] == "code":
            problems += _check_code(cell)
    return problems


def _check_code(cell: Mapping[str, Any]) -> list[str]:
    problems = []
    try:
        parse(cell["source"])
    except SyntaxError as error:
        problems.append(f"cell {cell['id']} is not Python: {error.msg}, line {error.lineno}")
    if cell["source"].count("\n") >= _LONG_CELL:
        problems.append(f"cell {cell['id']} is longer than {_LONG_CELL} lines; move the logic into ltlib")
    return problems


def _cell_id(cell: Mapping[str, Any], taken: set[str]) -> str:
    """Keep a readable id; otherwise make one from the heading or the first words of the cell."""
    name = str(cell.get("id", ""))
    if not _READABLE.fullmatch(name) or _RANDOM.fullmatch(name) or name in taken:
        if "parameters" in cell.get("metadata", {}).get("tags", ()):
            text = "parameters"
        elif cell["cell_type"] == "markdown":
            heading = re.search(r"^#+\s*(.+)$", cell["source"], re.MULTILINE)
            text = heading[1] if heading else cell["source"]
        else:
            calls = re.findall(r"(?:page|notebook)\.(\w+)\(([^,)\n]*)(?:,\s*(\"[^\"]*\"))?", cell["source"])
            text = "-".join(calls[-1]) if calls else cell["source"]
            text = "setup" if calls and calls[-1][0] == "setup" else text
        words = re.findall(r"[a-z0-9]+", text.lower())[:5]
        stem = "-".join(words) or "cell"
        stem = stem if stem[0].isalpha() else f"{'text' if cell['cell_type'] == 'markdown' else 'code'}-{stem}"
        name, count = stem[:48].rstrip("-"), 1
        while name in taken or _RANDOM.fullmatch(name):
            count += 1
            name = f"{stem[:48].rstrip('-')}-{count}"
    taken.add(name)
    return name
