"""Which modules of the package make a page: those its cells use, those these use, and so on, read from the source.

A page is stale when one of them has changed, and only then. Three rules keep apart what makes words, tables and
figures and what does not:

* What only trains reaches a page through the runs, whose identities and states a page's key holds anyway. So training,
  experiments and the keeping of runs do not count; a component (a loss, a model, a data set) counts where a page itself
  computes with it, as a plot of losses does, and not where a run is trained with it.
* Of a package, the submodules that are used count (``plots.bars.accuracies`` is `plots.bars`). A name of the package
  itself, as ``losses.create``, is what the whole package makes of it: then all that its ``__init__`` imports counts.
* Importing is not using: names that stand only in annotations, and imports for type checkers, do not count.

Nothing is imported or executed. What is found by name at run time, with `getattr` or `importlib`, is not seen; a name
that a package loads when it is first asked for is, where a block for type checkers says where it comes from.
"""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Iterable
from pathlib import Path

from ltlib import files
from ltlib.errors import DataError
from ltlib.pages.digests import parse
from ltlib.pages.source import Source

PACKAGE = Path(__file__).parent.parent

#: What is trained with. It counts where a page computes with it, and of it only its own package.
COMPONENTS = ("losses", "models", "mixing", "batches", "methods", "datasets", "recipes")
#: What describes and keeps runs: what it imports of the components is for training.
DESCRIBES = ("runs", "grids", "profiles")
#: Never counted, and what it imports neither: what trains, and what declares, executes, exports and lists pages.
STOPS = (
    "training",
    "experiment",
    "cli",
    "bench",
    *(f"pages.{name}" for name in ("chain", "freshness", "closure", "source", "execution", "report", "index")),
    *(f"pages.{name}" for name in ("declared", "canonical", "digests", "order", "remarks", "sources")),
)
#: Not counted either: the ground, and how runs are kept, trained and planned. What they import is followed.
SILENT = (
    *("errors", "files", "places", "sealed"),
    *(f"runs.{name}" for name in ("store", "sweep", "worker", "packing", "provenance", "plan")),
)


def modules(cells: Iterable[str], also: Iterable[str] = (), package: Path = PACKAGE) -> dict[str, str]:
    """The modules that make a page, by name, each with the digest of its meaning.

    Args:
        cells: Sources of its code cells.
        also: Further modules it rests on, as ``ltlib.grids.awabs``; those that do not exist are left out.
        package: Folder of the package.

    Raises:
        DataError: One of them is not Python.
    """
    known = _known(package)
    found: set[str] = set()
    todo = [("", name) for name in also if name in known]
    todo += [("", name) for name in _uses_of(cells, package)]
    while todo:
        importer, dotted = todo.pop()
        for name in _resolved(dotted, package):
            if name in found or not _followed(importer, name):
                continue
            found.add(name)
            todo += [(name, used) for used in _module(package, name).uses]
    return {name: _module(package, name).digest for name in sorted(found) if not _among(name, SILENT)}


def own_digest(*names: str) -> str:
    """SHA-256 of what these modules of the package mean, without what they use."""
    return files.digest("".join(_module(PACKAGE, name).digest for name in names))


def _followed(importer: str, name: str) -> bool:
    """Whether a module counts, or what it uses does, when this one uses it; cells have an empty name."""
    if _among(name, STOPS):
        return False
    if _among(name, COMPONENTS):
        if _among(importer, COMPONENTS):
            return importer.split(".")[1] == name.split(".")[1]
        return not _among(importer, DESCRIBES)
    # A document's own grids are named beside the cells; the package knows those of every document.
    return not (_among(importer, ("grids",)) and importer.count(".") == 1 and _among(name, ("grids",)))


def _among(name: str, groups: Iterable[str]) -> bool:
    own = name.partition(".")[2]
    return any(own == group or own.startswith(f"{group}.") for group in groups)


def _resolved(dotted: str, package: Path) -> list[str]:
    """The modules that ``ltlib.x.y.name`` stands for: the longest that exists, and where a name loaded later lies."""
    known = _known(package)
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in known:
            source = _module(package, name).later.get(parts[length]) if length < len(parts) else None
            return [name, *(_resolved(source, package) if source else ())]
    return []


def _uses_of(cells: Iterable[str], package: Path) -> frozenset[str]:
    """What the cells use, read as one source: what one imports another may use."""
    body: list[ast.stmt] = []
    for cell in cells:
        with contextlib.suppress(SyntaxError):  # a magic, or a cell that will fail
            body += parse(cell).body
    return Source(ast.Module(body, []), package.name).uses


@functools.cache
def _known(package: Path) -> dict[str, Path]:
    """Every module of the package, by name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def _module(package: Path, name: str) -> Source:
    path = _known(package)[name]
    try:
        tree = parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise DataError(f"{name} is not Python: {error.msg}, line {error.lineno}") from error
    inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return Source(tree, package.name, inside, summaries=_among(name, COMPONENTS))
