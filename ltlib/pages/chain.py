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
from ltlib.errors import DataError, IncompleteError, LockedError, LtlibError, SettingError, UnknownName
from ltlib.pages import declared, digests, freshness, index, nursery, order, report
from ltlib.pages.declared import Declared
from ltlib.pages.execution import Execution, execute
from ltlib.pages.freshness import TEXT_CHANGED, beside, run_state, state
from ltlib.pages.report import PageState
from ltlib.runs import leftovers
from ltlib.sealed import claim


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


def make(
    page: Declared,
    profile: str,
    *,
    timeout: float = 3600.0,
    stop: threading.Event | None = None,
    born_in: Path | None = None,
) -> Execution:
    """Execute one page and keep the executed copy: ``ID.ipynb`` where complete, else ``ID.failed.ipynb``.

    The arguments are those of `execute`.

    Raises:
        LockedError: Another process is making this page, or its lock cannot be had.
        DataError: The notebook is damaged or declares what cannot be.
    """
    if page.problem:
        raise DataError(page.problem)
    with claim(beside(page, profile, "lock"), f"{page.id} ({profile})"):
        code = freshness.code_of(page)  # read before the kernel reads it: a change meanwhile leaves a stale page
        done = execute(page, profile, timeout=timeout, stop=stop, born_in=born_in)
        said = freshness.kept(page, profile)
        said["last"] = {"complete": done.complete, "cause": done.cause, "seconds": done.seconds}
        if done.complete:
            made_from = freshness.key(page, profile, done.record.get("runs", ()), code)
            files.write_text(beside(page, profile, "ipynb"), _text(done.notebook))
            said["good"] = {"key": made_from, "record": done.record, "seconds": done.seconds}
            for ending in ("failed.ipynb", "failed.html"):
                beside(page, profile, ending).unlink(missing_ok=True)
        elif done.notebook is not None:
            files.write_text(beside(page, profile, "failed.ipynb"), _text(done.notebook))
        freshness.keep(page, profile, said)
        return done


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
    pages = order.pages(root, say)
    chosen = select(pages, only)
    leftovers.sweep_reports()
    todo = [page for page in chosen if force or state(page, profile).state != "fresh"]
    exporter = report.Exporter()
    if not force:
        todo = [page for page in todo if not _refresh(exporter, page, profile, pages)]
    say(f"{len(chosen)} pages, {len(chosen) - len(todo)} fresh, {len(todo)} to make")
    if train is not None and todo:
        _train(todo, profile, train, say)
    if not force:
        todo = [page for page in todo if not _bare(page, profile, say)]
    stop = threading.Event()
    try:
        # pages rest on runs, never on one another: the order is for the reader, and any of them may be made beside
        # another, but for those that show every run there is: others, and such pages too, train some of their own
        late = [page for page in todo if "runs" in page.watches]
        with _nursery(todo) as born_in:
            for together in ([page for page in todo if page not in late], *([page] for page in late)):
                _make_all(together, pages, exporter, profile, jobs, timeout, stop, born_in, say)
    finally:
        stop.set()
        states = [state(page, profile) for page in pages]
        index.write_index(places.reports_folder() / profile, profile, states)
    return states


def _train(
    todo: Sequence[Declared], profile: str, train: Callable[[list[Any]], Any], say: Callable[[str], None]
) -> None:
    missing: dict[str, Any] = {}
    for page in todo:
        try:
            missing |= {e.run_id: e for e in declared.experiments([page], profile) if run_state(e.run_id) == "missing"}
        except LtlibError as error:
            say(f"{page.id}: {error}")
    if missing:
        try:
            train(list(missing.values()))
        except LtlibError as error:
            say(f"training: {error}; the pages that need it will say so")


def _bare(page: Declared, profile: str, say: Callable[[str], None]) -> bool:
    """Whether a page would show empty tables only; says what fills it."""
    nothing = freshness.nothing_here(page, profile)
    if nothing:
        say(f"{page.id}: nothing here yet, {nothing}; not executed; fill it with: {freshness.filling(page, profile)}")
    return bool(nothing)


def _refresh(exporter: report.Exporter, page: Declared, profile: str, pages: Sequence[Declared]) -> bool:
    """Write a page anew without executing it, where only its text or the template changed."""
    current = state(page, profile)
    if current.reason != TEXT_CHANGED or page.path is None:
        return False
    said, copy = freshness.kept(page, profile), beside(page, profile, "ipynb")
    executed = digests.with_text(declared.read_notebook(copy), declared.read_notebook(page.path))
    said["good"]["key"] = freshness.key(page, profile, current.record.get("runs", ()))
    fresh = replace(current, state="fresh", reason="")
    exporter.write_page(beside(page, profile, "html"), page, profile, fresh, executed, pages)
    files.write_text(copy, _text(executed))
    freshness.keep(page, profile, said)
    return True


def _nursery(todo: Sequence[Declared]) -> contextlib.AbstractContextManager[Path | None]:
    """What forks the processes of these pages; for a few of them it would cost more than it spares."""
    if len(todo) < nursery.FEWEST:
        return contextlib.nullcontext()
    modules = dict[str, None]()
    for page in todo:
        with contextlib.suppress(LtlibError):  # it will say so when it is made
            modules |= dict.fromkeys(freshness.modules_of(page))
    return nursery.opened(modules)


def _text(notebook: Mapping[str, Any] | None) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _make_all(
    todo: Sequence[Declared],
    pages: Sequence[Declared],
    exporter: report.Exporter,
    profile: str,
    jobs: int,
    timeout: float,
    stop: threading.Event,
    born_in: Path | None,
    say: Callable[[str], None],
) -> None:
    """Make these pages, several at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(make, page, profile, timeout=timeout, stop=stop, born_in=born_in): page for page in todo}
        try:
            for future in as_completed(running):
                page = running[future]
                try:
                    done = future.result()
                    _export(exporter, page, profile, done, pages)
                    word = "done" if done.complete else f"FAILED: {done.cause}"
                    say(f"{page.id}: {word} ({done.seconds:.0f} s)")
                except LockedError as error:  # nothing was tried: the page is what it was
                    say(f"{page.id}: not made: {error}")
                except Exception as error:  # of a library too: a page stops no other
                    cause = str(error) if isinstance(error, LtlibError) else f"{type(error).__name__}: {error}"
                    _note_failure(page, profile, cause)
                    say(f"{page.id}: FAILED: {cause}")
        except BaseException:
            stop.set()  # the pool's threads kill their kernels and end
            pool.shutdown(cancel_futures=True)
            raise


def _note_failure(page: Declared, profile: str, cause: str) -> None:
    """Remember why a page could not even start."""
    with contextlib.suppress(LtlibError):
        said = freshness.kept(page, profile)
        freshness.keep(page, profile, said | {"last": {"complete": False, "cause": cause, "seconds": 0.0}})


def _export(
    exporter: report.Exporter, page: Declared, profile: str, done: Execution, pages: Sequence[Declared]
) -> None:
    current = state(page, profile)
    if done.complete and current.state != "empty":
        current = replace(current, state="fresh", reason="")
    path = beside(page, profile, "html" if done.complete else "failed.html")
    exporter.write_page(path, page, profile, current, done.notebook, pages)


def require_complete(states: Iterable[PageState]) -> None:
    """Raise where a page of these is failed, stale or missing; one with nothing to show yet says so itself.

    Raises:
        IncompleteError: Names the pages and the command that repairs the first.
    """
    bad = [item for item in states if item.state not in ("fresh", "empty")]
    if bad:
        names = ", ".join(f"{item.page.id} ({item.state})" for item in bad)
        raise IncompleteError(f"not complete: {names}; {bad[0].reason}; run: {bad[0].command}")
