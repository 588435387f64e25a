"""Whether a page is what would be made now: digests of what it was made from lie beside it, and are compared."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltlib import files, places
from ltlib.errors import LtlibError
from ltlib.pages import closure, declared, digests, names, report, sources
from ltlib.pages.declared import Declared
from ltlib.pages.report import PageState
from ltlib.version import __version__

TEXT_CHANGED = "its text or the template changed since"
_PRINTED = closure.PACKAGE / "published" / "data"


def key(page: Declared, profile: str, runs: Iterable[str] = (), code: str | None = None) -> dict[str, str]:
    """What a page is made from, as two digests.

    Args:
        page: The page.
        profile: The profile.
        runs: Ids of further runs the page rested on when it was made.
        code: `code_of` the page before it was executed; None asks now.

    Returns:
        ``results``: code, declaration, records, printed numbers and package version, which only an execution brings in.
        ``text``: Markdown, template and exporter, which need no execution.
    """
    notebook = _notebook(page)
    ids = {experiment.run_id for experiment in declared.experiments([page], profile)} | set(runs)
    if "runs" in page.watches:
        ids |= {seal.parent.name for seal in places.runs_folder().glob("*/DONE")}
        ids |= {path.stem for folder in places.records_folders() for path in folder.glob("*.json")}
    results = {
        "code": code_of(page) if code is None else code,
        "declared": notebook["metadata"]["ltlib"],
        "parameters": {name: repr(value) for name, value in page.parameters.items()},
        "records": [[name, run_state(name)] for name in sorted(ids)],
        "version": __version__,
    }
    exporter = closure.own_digest("ltlib.pages.report", "ltlib.pages.sources", "ltlib.pages.order")
    text = [digests.text_digest(notebook), report.template_digest(), exporter, sources.digest()]
    return {"results": files.digest(files.canonical_json(results)), "text": files.digest(files.canonical_json(text))}


def code_of(page: Declared) -> str:
    """Digest of what a page's cells mean, of the modules they use, and of the printed numbers these read."""
    modules = modules_of(page)
    printed = _printed(page) if "ltlib.published" in modules else ""
    return files.digest(files.canonical_json([digests.code_digest(_notebook(page)), modules, printed]))


def modules_of(page: Declared) -> dict[str, str]:
    """The modules that a page's cells use, as `closure.modules` names them."""
    cells = [cell["source"] for cell in _notebook(page)["cells"] if cell["cell_type"] == "code"]
    return closure.modules(cells, [f"ltlib.grids.{document}" for document in _documents(page)])


def _documents(page: Declared) -> set[str]:
    """The documents whose tables, figures or grids a page declares."""
    named = {name.split("/")[0] for name in (*page.grids, *page.tables, *page.figures) if "/" in name}
    return named | ({page.document} if page.document else set())


def _printed(page: Declared) -> str:
    """Digest of the published data; a page of one document leaves out what belongs to others."""
    from ltlib import published

    others = set(published.documents()) - _documents(page) if page.document else set()
    paths = [path for path in sorted(_PRINTED.glob("*.csv")) if not any(name in path.stem for name in others)]
    return files.digest("".join(files.file_digest(path) for path in paths))


def _notebook(page: Declared) -> dict[str, Any]:
    assert page.path is not None
    return declared.read_notebook(page.path)


def run_state(run_id: str) -> str:
    """The digest of a finished run's seal, or of its committed record, or ``missing``."""
    records = (folder / f"{run_id}.json" for folder in places.records_folders())
    for path in (places.runs_folder() / run_id / "DONE", *records):
        with contextlib.suppress(OSError):
            return files.file_digest(path)
    return "missing"


def state(page: Declared, profile: str) -> PageState:
    """How a page stands: fresh, stale, failed, missing or empty, and why."""
    said = kept(page, profile)
    good, last = said.get("good"), said.get("last") or {}
    nothing = "" if page.problem else nothing_here(page, profile)
    filled_by = filling(page, profile) if nothing else command(page, profile)
    values: dict[str, Any] = {"page": page, "command": filled_by, "seconds": last.get("seconds", 0.0)}
    if page.problem:
        return PageState(state="failed", reason=page.problem, **values)
    failed = not last.get("complete", True)
    values["failed_html"] = f"{page.id}.failed.html" if failed else None
    if good is None:
        if failed:
            return PageState(state="failed", reason=last["cause"], **values)
        if nothing:
            return PageState(state="empty", reason=nothing, **values)
        return PageState(state="missing", reason="not executed in this profile", **values)
    values |= {"record": good["record"], "html": f"{page.id}.html"}
    if failed:
        return PageState(state="stale", reason=f"executed again and failed: {last['cause']}", **values)
    if not beside(page, profile, "html").is_file():
        return PageState(state="missing", reason="its page was deleted", **(values | {"html": None}))
    try:
        now = key(page, profile, good["record"].get("runs", ()))
    except LtlibError as error:
        return PageState(state="stale", reason=str(error), **values)
    if good["key"].get("results") != now["results"]:
        return PageState(state="stale", reason="its code, its runs or the package changed since", **values)
    if good["key"].get("text") != now["text"]:
        return PageState(state="stale", reason=TEXT_CHANGED, **values)
    if nothing:
        return PageState(state="empty", reason=nothing, **values)
    return PageState(state="fresh", reason="", **values)


def command(page: Declared, profile: str) -> str:
    """What makes a page."""
    return f"ltlib reproduce --profile {profile} --only {page.id}"


def nothing_here(page: Declared, profile: str) -> str:
    """Why a page would have empty tables only, in a sentence: no run is there that fills a cell of one; else empty.

    A page with a table that no grid of its own fills, as one of class counts, always has something to show.
    """
    wanted = _filling(page, profile)
    if wanted is None or any(run_state(run_id) != "missing" for run_id in wanted):
        return ""
    tables = f"Table{'s' if len(page.tables) > 1 else ''} {names.ranges(page.tables)}"
    if not wanted:
        return f"no run of profile {profile} fills {tables}"
    if len(wanted) == 1:
        return f"the run that fills {tables} is not here"
    return f"none of the {len(wanted)} runs that fill {tables} is here"


def filling(page: Declared, profile: str) -> str:
    """The command that fills a page with nothing: the paper profile's, where this one trains nothing for its tables."""
    return command(page, "paper" if _filling(page, profile) == [] else profile)


def _filling(page: Declared, profile: str) -> list[str] | None:
    """The runs that fill a page's tables; None where it always has something to show, or where its grid is wrong."""
    grids = [number if "/" in number else f"{page.document}/{number}" for number in page.tables]
    if not grids or not set(grids) <= set(page.grids):
        return None
    try:
        return [e.run_id for e in declared.experiments([replace(page, grids=tuple(grids))], profile)]
    except LtlibError:  # the key says what is wrong
        return None


def beside(page: Declared, profile: str, ending: str) -> Path:
    """A file of a page: ``html``, ``ipynb`` (the executed copy), ``json`` (what is kept), ``failed.html``, ..."""
    place = places.reports_folder() / profile / page.id
    return place.with_name(f"{place.name}.{ending}")


def kept(page: Declared, profile: str) -> dict[str, Any]:
    """What is kept of a page's executions: ``last``, and ``good`` with its key and record; empty where nothing is."""
    try:
        value = files.read_json(beside(page, profile, "json"))
        return value if isinstance(value, dict) and value.get("format") == 1 else {}
    except LtlibError:
        return {}


def keep(page: Declared, profile: str, said: dict[str, Any]) -> None:
    """Keep what `kept` gives."""
    files.write_json(beside(page, profile, "json"), said | {"format": 1})
