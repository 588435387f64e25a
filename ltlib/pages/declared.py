"""What a notebook declares about itself, and the one form in which notebooks are kept.

A notebook's metadata holds, under the key ``ltlib``, its question, the document it re-runs, the tables and figures it
regenerates, the grids of runs it needs and the notebooks it comes after. The chain, the pages and the index are built
from that. The canonical form has no outputs, no execution counts, readable cell ids, LF, an indent of one and sorted
keys, so that two edits of one notebook differ only where they differ.
"""

from __future__ import annotations

import ast
import functools
import json
import re
import threading
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltlib import files, places
from ltlib.errors import DataError, SettingError, UnknownName

_PROFILES = ("quick", "laptop", "paper")
_KEYS = {
    "id",
    "title",
    "question",
    "document",
    "datasets",
    "tables",
    "figures",
    "grids",
    "after",
    "cost",
    "variants",
    "watches",
}
_LISTS = ("datasets", "tables", "figures", "grids", "after", "watches")
_READABLE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_RANDOM = re.compile(r"(?=.*\d)[0-9a-f]{8}(-[0-9a-f-]{27})?|[0-9a-f]{12,}")
_HOME = re.compile(r"(/home/|/Users/|/root/|[A-Za-z]:\\\\?Users\\)")
_LONG_CELL = 24


@dataclass(frozen=True)
class Declared:
    """One page to be made: a notebook, or one variant of it.

    Attributes:
        id: Path under ``notebooks`` without suffix; a variant appends ``-name``.
        title: Title of the page.
        question: The question the notebook answers, one sentence.
        document: The document it re-runs, or None.
        datasets: Image sets it uses.
        tables: Numbers of the document's tables (``other/1`` for another document's).
        figures: Numbers of the document's figures, diagrams and algorithms included.
        grids: Names of the grids whose runs it needs.
        after: Ids of the notebooks it comes after.
        watches: ``runs`` for a page that shows every finished run and is stale when there are others.
        cost: Profile to cost in words.
        notebook: Id of the notebook; differs from `id` in a variant.
        path: The notebook's file, or None where there is no checkout.
        parameters: What distinguishes a variant, passed as notebook parameters.
    """

    id: str
    title: str = ""
    question: str = ""
    document: str | None = None
    datasets: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    grids: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    cost: Mapping[str, str] = field(default_factory=dict)
    notebook: str = ""
    path: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_notebook(path: Path) -> dict[str, Any]:
    """The JSON of a notebook of format 4, sources joined to one text each.

    Raises:
        DataError: Missing, cut short, or not a notebook.
    """
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8"))
        if notebook["nbformat"] != 4:
            raise DataError(f"{path} is a notebook of format {notebook['nbformat']}; save it as format 4")
        for cell in notebook["cells"]:
            if isinstance(cell["source"], list):
                cell["source"] = "".join(cell["source"])
    except FileNotFoundError as error:
        raise DataError(f"there is no notebook {path}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a notebook: {error}") from error
    return notebook


def of_notebook(notebook: Mapping[str, Any], path: Path | None = None) -> list[Declared]:
    """The pages a notebook declares: one, or one per variant.

    A variant, ``"variants": {"ship": {"parameters": {"subset": "ship"}, "tables": [...]}}``, adds its lists to those
    of the notebook, whose own tables and figures then belong to every variant.

    Raises:
        DataError: The metadata is missing or not of this form.
    """
    raw = notebook.get("metadata", {}).get("ltlib")
    where = path or "the notebook"
    if not isinstance(raw, Mapping):
        raise DataError(f"{where} declares nothing: its metadata has no key 'ltlib'")
    for key in raw:
        if key not in _KEYS:
            raise DataError(f"{where}: {UnknownName('metadata key', key, _KEYS)}")
    for key in ("id", "title", "question"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            raise DataError(f"{where}: its metadata needs a text {key!r}")
    variants = raw.get("variants") or {"": {}}
    pages = []
    for name, own in variants.items():
        lists = {}
        for key in _LISTS:
            values = [*raw.get(key, ()), *own.get(key, ())]
            if not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
                raise DataError(f"{where}: {key!r} must be a list of different texts, not {values}")
            lists[key] = tuple(values)
        title = raw["title"] if not name else own.get("title", f"{raw['title']}: {name}")
        pages.append(
            Declared(
                id=f"{raw['id']}-{name}" if name else raw["id"],
                title=title,
                question=raw["question"],
                document=raw.get("document"),
                cost=dict(raw.get("cost", {})),
                notebook=raw["id"],
                path=Path(path) if path else None,
                parameters=dict(own.get("parameters", {})),
                **lists,
            )
        )
    return pages


def all_pages(root: Path | None = None) -> list[Declared]:
    """Every page the notebooks under `root` (default: the checkout's) declare, in order of id."""
    root = root or places.notebooks_folder()
    if root is None or not Path(root).is_dir():
        raise DataError("there are no notebooks here; run this from a checkout of the project")
    paths = sorted(p for p in Path(root).rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    pages = [page for path in paths for page in of_notebook(read_notebook(path), path)]
    return sorted(pages, key=lambda page: page.id)


def find(name: str, parameters: Mapping[str, Any] | None = None, root: Path | None = None) -> Declared:
    """The page of a notebook by id; `parameters` choose among its variants.

    Raises:
        UnknownName: No notebook, or no variant, of that name.
    """
    root = root or places.notebooks_folder()
    if root is None:
        return Declared(id=name, title=name, notebook=name)
    path = Path(root) / f"{name}.ipynb"
    if not path.is_file():
        known = [p.relative_to(root).with_suffix("").as_posix() for p in Path(root).rglob("*.ipynb")]
        raise UnknownName("notebook", name, known)
    return choose(of_notebook(read_notebook(path), path), parameters or {})


def choose(pages: Sequence[Declared], given: Mapping[str, Any]) -> Declared:
    """The variant whose parameters are among those given.

    Raises:
        UnknownName: None of them; lists their parameters.
    """
    for page in pages:
        if all(given.get(key) == value for key, value in page.parameters.items()):
            return page
    keys = sorted({key for page in pages for key in page.parameters})
    choices = ["; ".join(f"{k}={v}" for k, v in page.parameters.items()) for page in pages]
    raise UnknownName(f"variant of {pages[0].notebook}", "; ".join(f"{key}={given.get(key)}" for key in keys), choices)


def slug(kind: str, number: str) -> str:
    """The anchor and file name of a table or figure: ``figure-5``, ``table-a-1``, ``figure-algorithm-1``."""
    return "-".join([kind, *re.findall(r"[a-z0-9]+", str(number).lower())])


def label(kind: str, number: str) -> str:
    """How a table or figure is called: ``Figure 5``, ``Table A.1``, ``Algorithm 1``."""
    return f"{kind.capitalize()} {number}" if re.match(r"\d|[A-Z]\.|.*/", number) else number


def parameters(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The names and default values of the cell tagged ``parameters``.

    Raises:
        DataError: No such cell, more than one, or a line that is not ``name = value``.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c.get("metadata", {}).get("tags", ())]
    if len(cells) != 1:
        raise DataError(f"a notebook needs one cell tagged 'parameters'; this one has {len(cells)}")
    values: dict[str, Any] = {}
    lines = set()
    for statement in _parse(cells[0]["source"]).body:
        if (
            not isinstance(statement, ast.Assign)
            or len(statement.targets) != 1
            or not isinstance(statement.targets[0], ast.Name)
            or statement.lineno in lines
        ):
            raise DataError("the parameters cell holds one 'name = value' on each line and nothing else")
        try:
            values[statement.targets[0].id] = ast.literal_eval(statement.value)
        except ValueError as error:
            raise DataError(f"line {statement.lineno} of the parameters cell is not a plain value") from error
        lines.add(statement.lineno)
    return values


def check_parameters(notebook: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse parameters that the notebook does not have or whose type differs from the default's.

    papermill would only warn about the first and silently overwrite the value where the tag is missing.

    Raises:
        UnknownName: A parameter the notebook does not have.
        SettingError: A value of another type.
    """
    known = parameters(notebook)
    for name, value in given.items():
        if name not in known:
            raise UnknownName("notebook parameter", name, known)
        default = known[name]
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if default is not None and value is not None and type(value) is not type(default) and not number:
            wanted = type(default).__name__
            raise SettingError(f"notebook parameter {name} is {wanted} ({default!r}), not {value!r}")


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


_PARSING = threading.Lock()


def _parse(source: str) -> ast.Module:
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
            parts.append(ast.dump(_parse(cell["source"])))
        except SyntaxError:  # a magic, or a cell that will fail: its text counts
            parts.append(cell["source"])
    return files.digest("\n".join(parts))


@functools.cache
def chapters_digest() -> str:
    """Digest of the chapters' code without comments and layout: the notebooks' code, kept where tests reach it."""
    folder = Path(__file__).parent / "chapters"
    trees = [ast.dump(_parse(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.py"))]
    return files.digest("\n".join(trees))


def text_digest(notebook: Mapping[str, Any]) -> str:
    """SHA-256 of the order of the cells, the Markdown and the layout of the code as a page shows it."""
    return files.digest(files.canonical_json([[cell["cell_type"], cell["source"]] for cell in notebook["cells"]]))


# --- the canonical form ----------------------------------------------------------------------------------------------


def repository() -> str | None:
    """The repository's address in pyproject's ``[project.urls]``, or None while there is none."""
    top = places.checkout()
    if top is None:
        return None
    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository")
    return address.rstrip("/").removesuffix(".git") if address else None


def ranges(numbers: Iterable[str]) -> str:
    """``1, 2, 3, 7, A.1`` as ``1-3, 7, A.1``: runs of whole numbers are drawn together."""
    parts: list[list[str]] = []
    for number in numbers:
        whole = re.fullmatch(r"((?:[A-Za-z0-9]+\.)*)(\d+)", number)
        last = re.fullmatch(r"((?:[A-Za-z0-9]+\.)*)(\d+)", parts[-1][-1]) if parts else None
        if whole and last and whole[1] == last[1] and int(whole[2]) == int(last[2]) + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 2 else ", ".join(p) for p in parts)


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
        lines += ["| profile | cost |", "|---|---|"]
        lines += [f"| `{profile}` | {raw['cost'][profile]} |" for profile in _PROFILES if profile in raw["cost"]]
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
    """The notebook's one text: header and bootstrap cells made anew, outputs and foreign metadata dropped."""
    raw = notebook["metadata"]["ltlib"]
    address, version = repository(), f"v{package_version()}"
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
        result.append(clean)
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "ltlib": raw,
    }
    whole = {"cells": result, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def format_notebook(path: Path) -> bool:
    """Bring a notebook into canonical form; True if its file changed."""
    notebook = read_notebook(path)
    of_notebook(notebook, path)
    text = canonical(notebook)
    if Path(path).read_bytes() == text.encode():
        return False
    files.write_text(path, text)
    return True


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
    of_notebook(notebook, path)
    files.write_text(path, canonical(notebook))


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
    if Path(path).read_text(encoding="utf-8") != canonical(notebook):
        problems.append("not in canonical form (outputs, counts, ids or layout); run: ltlib notebooks format")
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
        if _HOME.search(cell["source"]):
            problems.append(f"cell {cell['id']} names a folder of one machine")
        if cell["cell_type"] == "code":
            problems += _check_code(cell)
    return problems


def _check_code(cell: Mapping[str, Any]) -> list[str]:
    problems = []
    try:
        _parse(cell["source"])
    except SyntaxError as error:
        problems.append(f"cell {cell['id']} is not Python: {error.msg}, line {error.lineno}")
    if cell["source"].count("\n") >= _LONG_CELL:
        problems.append(f"cell {cell['id']} is longer than {_LONG_CELL} lines; move the logic into ltlib")
    return problems


def coverage(
    pages: Iterable[Declared], tables: Mapping[str, Iterable[str]], figures: Mapping[str, Iterable[str]]
) -> list[str]:
    """Published tables and figures that no page declares, or two do, and declared ones that are not published.

    Args:
        pages: The declared pages.
        tables: Document to the numbers of its tables.
        figures: Document to the numbers of its figures.
    """
    owners: dict[tuple[str, str, str], list[str]] = {}
    for page in pages:
        base = page.notebook or page.id
        for kind, numbers in (("table", page.tables), ("figure", page.figures)):
            for number in numbers:
                other, _, own = number.rpartition("/")  # another document's is declared as document/number
                document = other or page.document
                if document is None or document not in (tables if kind == "table" else figures):
                    continue
                names = owners.setdefault((document, kind, own), [])
                if base not in names:
                    names.append(base)
    wanted = {(doc, "table", n) for doc, numbers in tables.items() for n in numbers}
    wanted |= {(doc, "figure", n) for doc, numbers in figures.items() for n in numbers}
    problems = [f"{kind} {n} of {doc} is declared by no notebook" for doc, kind, n in sorted(wanted - owners.keys())]
    for (doc, kind, n), names in sorted(owners.items()):
        if len(names) > 1:
            problems.append(f"{kind} {n} of {doc} is declared by {' and '.join(names)}")
        if (doc, kind, n) not in wanted:
            problems.append(f"{names[0]} declares {kind} {n}, which {doc} does not have")
    return problems


def package_version() -> str:
    """The installed version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ltlib")
    except PackageNotFoundError:
        return "0"


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
