"""Make the pages: their order, which are fresh, each executed and exported, and the index; a failure stops no other.

Running the chain again is the resume: what is fresh is not executed, what only changed its words is exported anew.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from ltlib import files, places, profiles
from ltlib.errors import IncompleteError, LockedError, LtlibError, SettingError, UnknownName
from ltlib.pages import declared, report
from ltlib.pages.declared import Declared
from ltlib.pages.execution import Outcome, execute
from ltlib.pages.report import PageState

TEXT_CHANGED = "its text or the template changed since"


# --- the plan --------------------------------------------------------------------------------------------------------


def select(pages: Sequence[Declared], only: Iterable[str] | None) -> list[Declared]:
    """The pages named by id, by notebook or by folder; all of them for None.

    Raises:
        UnknownName: A name that matches no page.
    """
    if only is None:
        return list(pages)
    chosen: list[Declared] = []
    for name in only:
        found = [p for p in pages if name in (p.id, p.notebook) or p.id.startswith(f"{name.rstrip('/')}/")]
        if not found:
            raise UnknownName("notebook", name, {p.id for p in pages} | {p.id.split("/")[0] for p in pages})
        chosen += [page for page in found if page not in chosen]
    return [page for page in pages if page in chosen]


def plan(pages: Sequence[Declared]) -> list[Declared]:
    """The pages, each after those it comes after, otherwise in order of id.

    Raises:
        UnknownName: A page comes after a notebook that does not exist.
        SettingError: A circle; names its members.
    """
    known = {page.notebook for page in pages} | {page.id for page in pages}
    for page in pages:
        for name in page.after:
            if name not in known:
                raise UnknownName(f"notebook that {page.id} comes after:", name, known)
    ordered: list[Declared] = []
    left = sorted(pages, key=lambda page: page.id)
    while left:
        waiting = {name for page in left for name in (page.id, page.notebook)}
        ready = [page for page in left if not waiting & (set(page.after))]
        if not ready:
            raise SettingError(f"these notebooks come after each other in a circle: {', '.join(p.id for p in left)}")
        ordered += ready
        left = [page for page in left if page not in ready]
    return ordered


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


# --- fresh or stale --------------------------------------------------------------------------------------------------


def key(page: Declared, profile: str, runs: Iterable[str] = ()) -> dict[str, str]:
    """What a page is made from, as two digests.

    Args:
        page: The page.
        profile: The profile.
        runs: Ids of further runs the page rested on when it was made.

    Returns:
        ``results``: code of the cells and of the chapters (AST), declaration, records and package version, which only
        an execution brings in.
        ``text``: Markdown and template, which need no execution.
    """
    assert page.path is not None
    notebook = declared.read_notebook(page.path)
    ids = {experiment.run_id for experiment in experiments([page], profile)} | set(runs)
    if "runs" in page.watches:
        ids |= {seal.parent.name for seal in places.runs_folder().glob("*/DONE")}
        ids |= {path.stem for folder in places.records_folders() for path in folder.glob("*.json")}
    results = {
        "code": [declared.code_digest(notebook), declared.chapters_digest()],
        "declared": notebook["metadata"]["ltlib"],
        "parameters": {name: repr(value) for name, value in page.parameters.items()},
        "records": [[name, run_state(name)] for name in sorted(ids)],
        "version": declared.package_version(),
    }
    text = [declared.text_digest(notebook), report.template_digest()]
    return {"results": files.digest(files.canonical_json(results)), "text": files.digest(files.canonical_json(text))}


def run_state(run_id: str) -> str:
    """The digest of a finished run's seal, or of its committed record, or ``missing``."""
    records = (folder / f"{run_id}.json" for folder in places.records_folders())
    for path in (places.runs_folder() / run_id / "DONE", *records):
        with contextlib.suppress(OSError):
            return files.file_digest(path)
    return "missing"


def state(page: Declared, profile: str) -> PageState:
    """How a page stands: fresh, stale, failed or missing, and why."""
    said = _read_state(page, profile)
    good, last = said.get("good"), said.get("last") or {}
    command = f"ltlib reproduce --profile {profile} --only {page.id}"
    values: dict[str, Any] = {"page": page, "command": command, "seconds": last.get("seconds", 0.0)}
    failed = not last.get("complete", True)
    values["failed_html"] = f"{page.id}.failed.html" if failed else None
    if good is None:
        if failed:
            return PageState(state="failed", reason=last["cause"], **values)
        return PageState(state="missing", reason="not executed in this profile", **values)
    values |= {"record": good["record"], "html": f"{page.id}.html"}
    if failed:
        return PageState(state="stale", reason=f"executed again and failed: {last['cause']}", **values)
    if not (_folder(profile) / f"{page.id}.html").is_file():
        return PageState(state="missing", reason="its page was deleted", **(values | {"html": None}))
    try:
        now = key(page, profile, good["record"].get("runs", ()))
    except LtlibError as error:
        return PageState(state="stale", reason=str(error), **values)
    if good["key"].get("results") != now["results"]:
        return PageState(state="stale", reason="its code, its runs or the package changed since", **values)
    if good["key"].get("text") != now["text"]:
        return PageState(state="stale", reason=TEXT_CHANGED, **values)
    return PageState(state="fresh", reason="", **values)


def _folder(profile: str) -> Path:
    return places.reports_folder() / profile


def _read_state(page: Declared, profile: str) -> dict[str, Any]:
    try:
        value = json.loads((_folder(profile) / f"{page.id}.json").read_text(encoding="utf-8"))
        return value if isinstance(value, dict) and value.get("format") == 1 else {}
    except (OSError, ValueError):
        return {}


# --- the chain -------------------------------------------------------------------------------------------------------


def make(page: Declared, profile: str, *, timeout: float = 3600.0, stop: threading.Event | None = None) -> Outcome:
    """Execute one page and keep the executed copy: ``ID.ipynb`` where complete, else ``ID.failed.ipynb``.

    Raises:
        LockedError: Another process is making this page.
    """
    from filelock import FileLock, Timeout

    place = _folder(profile) / page.id
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{place}.lock", timeout=0):
            outcome = execute(page, profile, timeout=timeout, stop=stop)
            said = _read_state(page, profile)
            last = {"complete": outcome.complete, "cause": outcome.cause, "seconds": outcome.seconds}
            said |= {"format": 1, "last": last}
            if outcome.complete:
                made_from = key(page, profile, outcome.record.get("runs", ()))
                files.write_text(_beside(place, "ipynb"), _text(outcome.notebook))
                said["good"] = {"key": made_from, "record": outcome.record, "seconds": outcome.seconds}
                for ending in ("failed.ipynb", "failed.html"):
                    _beside(place, ending).unlink(missing_ok=True)
            elif outcome.notebook is not None:
                files.write_text(_beside(place, "failed.ipynb"), _text(outcome.notebook))
            files.write_json(_beside(place, "json"), said)
            return outcome
    except Timeout as error:
        raise LockedError(f"{page.id} ({profile}) is being made by another process; wait for it or stop it") from error


def run_chain(
    profile: str = "quick",
    only: Iterable[str] | None = None,
    *,
    jobs: int = 2,
    force: bool = False,
    timeout: float = 3600.0,
    root: Path | None = None,
    train: Callable[[list[Any]], Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[PageState]:
    """Make every page that is not fresh, then the index. A failed notebook never stops the rest.

    Args:
        profile: ``quick``, ``laptop`` or ``paper``.
        only: Ids, notebooks or folders; None makes all.
        jobs: Notebooks executed at once.
        force: Execute fresh pages again.
        timeout: Seconds for one notebook.
        root: Where the notebooks lie; default the checkout.
        train: Called with the experiments of all pages to be made, before the first notebook, so that runs are
            trained side by side; what it leaves undone is not there, and the pages say so.
        say: Takes one line per event.

    Returns:
        The state of every page of the project, in plan order.
    """
    profiles.get(profile)
    if jobs < 1:
        raise SettingError(f"jobs must be at least 1, not {jobs}")
    pages = plan(declared.all_pages(root))
    chosen = select(pages, only)
    todo = [page for page in chosen if force or state(page, profile).state != "fresh"]
    exporter = report.Exporter()
    if not force:
        todo = [page for page in todo if not _refresh(exporter, page, profile, pages)]
    say(f"{len(chosen)} pages, {len(chosen) - len(todo)} fresh, {len(todo)} to make")
    if train is not None and todo:
        _train(todo, profile, train, say)
    stop = threading.Event()
    try:
        _make_all(todo, pages, exporter, profile, jobs, timeout, stop, say)
    finally:
        stop.set()
        states = [state(page, profile) for page in pages]
        report.write_index(_folder(profile), profile, states)
    return states


def _train(
    todo: Sequence[Declared], profile: str, train: Callable[[list[Any]], Any], say: Callable[[str], None]
) -> None:
    missing: dict[str, Any] = {}
    for page in todo:
        try:
            missing |= {e.run_id: e for e in experiments([page], profile) if run_state(e.run_id) == "missing"}
        except LtlibError as error:
            say(f"{page.id}: {error}")
    if missing:
        try:
            train(list(missing.values()))
        except LtlibError as error:
            say(f"training: {error}; the pages that need it will say so")


def _refresh(exporter: report.Exporter, page: Declared, profile: str, order: Sequence[Declared]) -> bool:
    """Write a page anew without executing it, where only its text or the template changed."""
    current = state(page, profile)
    if current.reason != TEXT_CHANGED or page.path is None:
        return False
    place = _folder(profile) / page.id
    said = _read_state(page, profile)
    executed = declared.with_text(declared.read_notebook(_beside(place, "ipynb")), declared.read_notebook(page.path))
    said["good"]["key"] = key(page, profile, current.record.get("runs", ()))
    fresh = replace(current, state="fresh", reason="")
    exporter.write_page(_beside(place, "html"), page, profile, fresh, executed, order)
    files.write_text(_beside(place, "ipynb"), _text(executed))
    files.write_json(_beside(place, "json"), said)
    return True


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(f"{place.name}.{ending}")


def _text(notebook: Mapping[str, Any] | None) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _make_all(
    todo: Sequence[Declared],
    order: Sequence[Declared],
    exporter: report.Exporter,
    profile: str,
    jobs: int,
    timeout: float,
    stop: threading.Event,
    say: Callable[[str], None],
) -> None:
    # pages rest on runs, never on one another: the order is for the reader, and any of them may be made beside another
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(make, page, profile, timeout=timeout, stop=stop): page for page in todo}
        try:
            for future in as_completed(running):
                page = running[future]
                try:
                    outcome = future.result()
                    _export(exporter, page, profile, outcome, order)
                    word = "done" if outcome.complete else f"FAILED: {outcome.cause}"
                    say(f"{page.id}: {word} ({outcome.seconds:.0f} s)")
                except LtlibError as error:
                    _note_failure(page, profile, str(error))
                    say(f"{page.id}: FAILED: {error}")
        except BaseException:
            stop.set()  # the pool's threads kill their kernels and end
            pool.shutdown(cancel_futures=True)
            raise


def _note_failure(page: Declared, profile: str, cause: str) -> None:
    """Remember why a page could not even start, unless another process is at work on it."""
    place = _folder(profile) / f"{page.id}.json"
    with contextlib.suppress(LtlibError):
        said = _read_state(page, profile)
        said |= {"format": 1, "last": {"complete": False, "cause": cause, "seconds": 0.0}}
        files.write_json(place, said)


def _export(
    exporter: report.Exporter, page: Declared, profile: str, outcome: Outcome, order: Sequence[Declared]
) -> None:
    current = state(page, profile)
    if outcome.complete:
        current = replace(current, state="fresh", reason="")
    ending = "html" if outcome.complete else "failed.html"
    exporter.write_page(_folder(profile) / f"{page.id}.{ending}", page, profile, current, outcome.notebook, order)


def require_complete(states: Iterable[PageState]) -> None:
    """Raise where a page of these is failed, stale or missing.

    Raises:
        IncompleteError: Names the pages and the command that repairs the first.
    """
    bad = [item for item in states if item.state != "fresh"]
    if bad:
        names = ", ".join(f"{item.page.id} ({item.state})" for item in bad)
        raise IncompleteError(f"not complete: {names}; {bad[0].reason}; run: {bad[0].command}")
