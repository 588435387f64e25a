"""Execute the notebooks: plan their order, run each in processes of its own, decide whether it is complete and fresh.

papermill alone cannot be believed: after a kernel is killed every cell still says ``completed``, an unknown parameter
only warns, and its output is written in place. So parameters are checked before a kernel starts, the output goes to a
temporary file, and a page is complete only if papermill ended well, the notebook's last cell left its sentinel, every
code cell was counted and none shows an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ltlib import declared, files, places, profiles, report
from ltlib.declared import Declared
from ltlib.errors import IncompleteError, LockedError, LtlibError, SettingError, UnknownName
from ltlib.report import PageState

TOKEN = "LTLIB_CHAIN_TOKEN"  # every process of one execution carries it, so that none outlives its notebook
_NOT_OURS = ("MPLBACKEND", "PYTHONSTARTUP", "JPY_SESSION_NAME")
TEXT_CHANGED = "its text or the template changed since"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Outcome:
    """How an execution ended.

    Attributes:
        cause: Why the notebook is not complete, in one sentence; empty where it is.
        seconds: Wall time.
        record: What the sentinel says the page holds.
        notebook: The executed notebook, or None where papermill wrote nothing.
    """

    cause: str
    seconds: float
    record: Mapping[str, Any] = field(default_factory=dict)
    notebook: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        return not self.cause


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
        ``results``: code (AST), declaration, records and package version, which only an execution brings in.
        ``text``: Markdown and template, which need no execution.
    """
    assert page.path is not None
    notebook = declared.read_notebook(page.path)
    ids = {experiment.run_id for experiment in experiments([page], profile)} | set(runs)
    results = {
        "code": declared.code_digest(notebook),
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
    now = key(page, profile, good["record"].get("runs", ()))
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


# --- one notebook ----------------------------------------------------------------------------------------------------


def environment(token: str, scratch: Path, page: Declared, profile: str) -> dict[str, str]:
    """The environment of the kernel: this interpreter, no outside configuration, one thread, nobody watching."""
    kernel = scratch / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python", "metadata": {"debugger": False}}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    env = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
    env |= {
        TOKEN: token,
        "JUPYTER_PATH": str(scratch / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
        "LTLIB_HEADLESS": "1",
        "LTLIB_REPORTS": str(places.reports_folder().resolve()),
        "LTLIB_PAGE_FOLDER": str((_folder(profile) / page.id).parent.resolve()),
        "LTLIB_NOTEBOOK_FILE": str(page.path.resolve()) if page.path else "",
        "LTLIB_SENTINEL": str(scratch / "sentinel.json"),
    }
    env.setdefault("OMP_NUM_THREADS", "1")
    return env


def execute(
    page: Declared,
    profile: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout: float = 3600.0,
    stop: threading.Event | None = None,
) -> Outcome:
    """Execute a notebook in a session of its own; nothing is published.

    Args:
        page: What to execute.
        profile: Passed as the notebook's parameter ``profile``.
        parameters: Further notebook parameters.
        timeout: Seconds after which the notebook and everything it started are killed.
        stop: Set from outside to kill it earlier.

    Raises:
        UnknownName, SettingError, DataError: A wrong parameter or notebook, before any kernel starts.
    """
    assert page.path is not None
    given = {"profile": profile, **page.parameters, **(parameters or {})}
    declared.check_parameters(declared.read_notebook(page.path), given)
    started = time.monotonic()
    outcome = _attempt(page, profile, given, timeout, stop)
    spent = time.monotonic() - started
    # Kernels of several processes may be given one port; then nothing has run and a second start does.
    if outcome.cause and not _counts(outcome.notebook) and spent < timeout and not (stop and stop.is_set()):
        outcome = _attempt(page, profile, given, timeout - spent, stop)
    return Outcome(outcome.cause, round(time.monotonic() - started, 1), outcome.record, outcome.notebook)


def _attempt(
    page: Declared, profile: str, given: Mapping[str, Any], timeout: float, stop: threading.Event | None
) -> Outcome:
    token = secrets.token_hex(12)
    with tempfile.TemporaryDirectory(prefix="ltlib-chain-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        output, values = scratch / "executed.ipynb", scratch / "parameters.json"
        values.write_text(json.dumps(given))  # JSON is YAML
        command = [sys.executable, "-m", "papermill", str(page.path), str(output), "-f", str(values)]
        command += ["--no-progress-bar", "--cwd", str(page.path.parent), "-k", "python3"]  # type: ignore[union-attr]
        with (scratch / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(token, scratch, page, profile),
                start_new_session=True,
            )
            ended = _wait(process, timeout, stop)
            kill_family(process.pid, token)
            code = process.wait()
        executed = None
        with contextlib.suppress(LtlibError):
            executed = normalised(declared.read_notebook(output))
        record = None
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((scratch / "sentinel.json").read_text(encoding="utf-8"))
        log_text = (scratch / "log").read_text(encoding="utf-8", errors="replace")
    if ended == "timeout":
        cause = f"it did not finish within {timeout:.0f} s and was stopped{_where(executed)}"
    elif ended == "stop":
        cause = "it was interrupted"
    else:
        cause = verdict(executed, code, record, page.id, log_text)
    return Outcome(cause, 0.0, record or {}, executed)


def _wait(process: subprocess.Popen[bytes], timeout: float, stop: threading.Event | None) -> str:
    deadline = time.monotonic() + timeout
    while True:
        try:
            process.wait(timeout=0.1)
            return "ended"
        except subprocess.TimeoutExpired:
            if stop is not None and stop.is_set():
                return "stop"
            if time.monotonic() > deadline:
                return "timeout"


def kill_family(pid: int, token: str) -> None:
    """End every process that carries the token: papermill, its kernel, and what the cells started.

    The kernel lives in a session of its own, so killing papermill's group alone would leave it and its children.
    """
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    import psutil

    family = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(TOKEN) == token and process.pid != os.getpid():
                family.append(process)
    for process in family:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(family, timeout=2)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def verdict(
    executed: Mapping[str, Any] | None, code: int, record: Mapping[str, Any] | None, name: str, log: str = ""
) -> str:
    """Why an execution is not complete; empty where it is.

    Args:
        executed: The notebook papermill wrote, or None.
        code: Its exit code.
        record: The sentinel, or None.
        name: The page's id, which the sentinel must name.
        log: What papermill printed.
    """
    if executed is None:
        lines = [line for line in _ANSI.sub("", log).splitlines() if line.strip()]
        return f"nothing was written (exit {code}): {lines[-1].strip() if lines else 'no message'}"
    cells = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                text = " ".join(_ANSI.sub("", f"{output['ename']}: {output['evalue']}").split())
                return f"cell {cell.get('id', '?')}: {text}"
    if code == 138 or any(cell["execution_count"] is None and cell["source"].strip() for cell in cells):
        return f"the kernel died, killed or out of memory{_where(executed)}"
    if code != 0:
        return f"papermill ended with {code}"
    if record is None:
        return "the last cell, page.finish(), left no sentinel"
    if record.get("id") != name:
        return f"the sentinel is that of {record.get('id')}, not of {name}: the id in notebook.setup is wrong"
    return ""


def normalised(executed: dict[str, Any]) -> dict[str, Any]:
    """Drop timings and paths that papermill adds, and its error banners: equal runs then give equal copies."""
    executed["metadata"].pop("papermill", None)
    cells = []
    for cell in executed["cells"]:
        tags = cell["metadata"].pop("tags", [])
        if any(tag.startswith("papermill-error") for tag in tags):
            continue
        for noise in ("papermill", "execution"):
            cell["metadata"].pop(noise, None)
        if "injected-parameters" in tags:
            cell["id"] = "injected-parameters"
        if tags:
            cell["metadata"]["tags"] = tags
        cells.append(cell)
    executed["cells"] = cells
    return executed


def _counts(executed: Mapping[str, Any] | None) -> int:
    cells = executed["cells"] if executed else []
    return sum(1 for cell in cells if cell["cell_type"] == "code" and cell["execution_count"] is not None)


def _where(executed: Mapping[str, Any] | None) -> str:
    """The last cell that was begun, as words to append."""
    begun = [c for c in (executed or {"cells": []})["cells"] if c["cell_type"] == "code" and c["execution_count"]]
    return f" in cell {begun[-1].get('id', '?')}" if begun else ""


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
            trained side by side; what it leaves undone the notebooks train themselves.
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
        missing = [e for e in experiments(todo, profile) if run_state(e.run_id) == "missing"]
        if missing:
            try:
                train(missing)
            except LtlibError as error:
                say(f"training: {error}; the pages that need it will say so")
    stop = threading.Event()
    try:
        _make_all(todo, pages, exporter, profile, jobs, timeout, stop, say)
    finally:
        stop.set()
        states = [state(page, profile) for page in pages]
        report.write_index(_folder(profile), profile, states)
    return states


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
    left = list(todo)
    running: dict[Future[Outcome], Declared] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while left or running:
                busy = {name for page in [*left, *running.values()] for name in (page.id, page.notebook)}
                for page in [page for page in left if not busy & set(page.after)][: jobs - len(running)]:
                    left.remove(page)
                    running[pool.submit(make, page, profile, timeout=timeout, stop=stop)] = page
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    page = running.pop(future)
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


def export_pages(profile: str, root: Path | None = None) -> list[PageState]:
    """Write every page and the index anew from the executed copies, without executing anything."""
    pages = plan(declared.all_pages(root))
    exporter = report.Exporter()
    for page in pages:
        place = _folder(profile) / page.id
        if _beside(place, "ipynb").is_file() and not _refresh(exporter, page, profile, pages):
            notebook = declared.read_notebook(_beside(place, "ipynb"))
            exporter.write_page(_beside(place, "html"), page, profile, state(page, profile), notebook, pages)
    states = [state(page, profile) for page in pages]
    report.write_index(_folder(profile), profile, states)
    return states


def require_complete(states: Iterable[PageState]) -> None:
    """Raise where a page of these is failed, stale or missing.

    Raises:
        IncompleteError: Names the pages and the command that repairs the first.
    """
    bad = [item for item in states if item.state != "fresh"]
    if bad:
        names = ", ".join(f"{item.page.id} ({item.state})" for item in bad)
        raise IncompleteError(f"not complete: {names}; {bad[0].reason}; run: {bad[0].command}")
