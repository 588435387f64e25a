"""What a notebook declares about itself.

A notebook's metadata holds, under the key ``ltlib``, its question, the document it re-runs, the tables and figures it
regenerates, the grids of runs it needs and the notebooks it comes after. The chain, the pages and the index are built
from that.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ltlib import places
from ltlib.errors import DataError, SettingError, UnknownName
from ltlib.pages import metadata
from ltlib.pages.digests import parse


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
        problem: Why the notebook declares nothing that can be made, in one sentence; empty where it does.
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
    problem: str = ""


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
            if not _is_cell(cell):
                raise DataError(
                    f"{path} is not a notebook: one of its cells has no kind, source or metadata as it must"
                )
        if not isinstance(notebook.setdefault("metadata", {}), dict):
            raise DataError(f"{path} is not a notebook: its metadata is no JSON object")
    except FileNotFoundError as error:
        raise DataError(f"there is no notebook {path}") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not a notebook: {error}") from error
    return notebook


def _is_cell(cell: Mapping[str, Any]) -> bool:
    metadata = cell.get("metadata", {})
    return (
        cell["cell_type"] in ("markdown", "code", "raw")
        and isinstance(cell["source"], str)
        and isinstance(metadata, dict)
        and isinstance(metadata.get("tags", []), list)
        and all(isinstance(forms, dict) for forms in cell.get("attachments", {}).values())
    )


def of_notebook(notebook: Mapping[str, Any], path: Path | None = None) -> list[Declared]:
    """The pages a notebook declares: one, or one per variant.

    A variant, ``"variants": {"ship": {"parameters": {"subset": "ship"}, "tables": [...]}}``, adds its lists to those
    of the notebook, whose own tables and figures then belong to every variant.

    Raises:
        DataError: The metadata is missing or not of this form.
    """
    raw = notebook.get("metadata", {}).get("ltlib")
    where = path or "the notebook"
    if raw is None:
        raise DataError(f"{where} declares nothing: its metadata has no key 'ltlib'")
    metadata.check(raw, where)
    variants = raw.get("variants") or {"": {}}
    pages = []
    for name, own in variants.items():
        lists: dict[str, Any] = {key: (*raw.get(key, ()), *own.get(key, ())) for key in metadata.LISTS}
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


def all_pages(root: Path | None = None, say: Callable[[str], None] = lambda line: None) -> list[Declared]:
    """Every page the notebooks under `root` (default: the checkout's) declare, in order of id.

    Notebooks that are nobody's page stop no other: one that declares nothing (a scratch notebook) and a copy of
    another are left out. One that is damaged or declares what cannot be is a page with a `problem`, under its path.

    Args:
        root: Where the notebooks lie.
        say: Takes one line for each notebook that is left out.

    Raises:
        DataError: There are no notebooks, or two declare one page and neither lies where its id says.
    """
    root = root or places.notebooks_folder()
    if root is None or not Path(root).is_dir():
        raise DataError("there are no notebooks here; run this from a checkout of the project")
    pages: dict[str, Declared] = {}
    for path in notebook_files(Path(root)):
        for page in _of_file(path, Path(root), say):
            other = pages.get(page.id)
            if other is not None and not _lies_there(page, Path(root)):
                if not _lies_there(other, Path(root)):
                    raise DataError(
                        f"{other.path} and {path} both declare the page {page.id!r}; give one of them an id of its own"
                    )
                page, other = other, page
            if other is not None and other.notebook == page.notebook:
                say(f"{other.path} is left out: it declares the page {page.id!r}, which is {page.path}'s")
            elif other is not None:
                raise DataError(f"{other.path} and {page.path} both declare the page {page.id!r}; rename a variant")
            pages[page.id] = page
    return sorted(pages.values(), key=lambda page: page.id)


def notebook_files(root: Path) -> list[Path]:
    """The notebooks under a folder, without those that Jupyter keeps as checkpoints."""
    found = (path for path in root.rglob("*.ipynb") if not path.is_dir())
    return sorted(path for path in found if not any(part[0] == "." for part in path.relative_to(root).parts))


def left_out(path: Path, say: Callable[[str], None] = lambda line: None) -> bool:
    """Whether a notebook is nobody's page: it declares nothing, or is empty as new ones are; says so."""
    try:
        if path.stat().st_size and read_notebook(path)["metadata"].get("ltlib") is not None:
            return False
    except (DataError, OSError):
        return False  # damaged, which whoever reads it next will say
    say(f"{path} is left out: it declares nothing under 'ltlib' in its metadata")
    return True


def _of_file(path: Path, root: Path, say: Callable[[str], None]) -> list[Declared]:
    if left_out(path, say):
        return []
    try:
        return of_notebook(read_notebook(path), path)
    except DataError as error:
        name = path.relative_to(root).with_suffix("").as_posix()
        return [Declared(id=name, title=name, notebook=name, path=path, problem=str(error))]


def _lies_there(page: Declared, root: Path) -> bool:
    """Whether a page's notebook lies where its id says."""
    return page.path is not None and page.path.relative_to(root).with_suffix("").as_posix() == page.notebook


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
        known = [p.relative_to(root).with_suffix("").as_posix() for p in notebook_files(Path(root))]
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
    for statement in parse(cells[0]["source"]).body:
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


def experiments(pages: Iterable[Declared], profile: str) -> list[Any]:
    """The different experiments of all grids that the pages need in a profile."""
    names = list(dict.fromkeys(name for page in pages for name in page.grids))
    if not names:
        return []
    from ltlib import grids

    found: dict[str, Any] = {}
    for name in names:
        for experiment in grids.experiments(name, profile)[0]:
            found.setdefault(experiment.run_id, experiment)
    return list(found.values())


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
