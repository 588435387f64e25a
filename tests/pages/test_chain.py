"""The chain: order, verdicts, freshness, and what a killed kernel leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from ltlib.errors import IncompleteError, LockedError, SettingError, UnknownName
from ltlib.pages import chain, declared, execution, freshness
from ltlib.pages.declared import Declared
from ltlib.processes import family
from ltlib.sealed import claim
from notebooks import write_notebook


def page(name: str) -> Declared:
    return Declared(id=name, notebook=name)


def test_a_selection_takes_ids_and_folders():
    pages = [page("01_a"), page("cefl/x"), page("cefl/y")]
    assert [p.id for p in chain.select(pages, ["cefl"])] == ["cefl/x", "cefl/y"]
    assert [p.id for p in chain.select(pages, ["cefl/y", "01_a"])] == ["01_a", "cefl/y"]
    assert chain.select(pages, None) == pages
    with pytest.raises(UnknownName, match="did you mean"):
        chain.select(pages, ["celf"])


def executed(*cells: tuple[int | None, list]) -> dict:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{i}",
                "metadata": {},
                "source": "x",
                "execution_count": count,
                "outputs": outputs,
            }
            for i, (count, outputs) in enumerate(cells)
        ]
    }


ERROR = [{"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mbad\x1b[0m\nvalue", "traceback": []}]


@pytest.mark.parametrize(
    ("notebook", "code", "record", "cause"),
    [
        (executed((1, []), (2, [])), 0, {"id": "x"}, ""),
        (executed((1, []), (2, ERROR), (None, [])), 1, None, "cell c1: ValueError: bad value"),
        (
            executed((1, []), (2, []), (None, [])),
            138,
            None,
            "the kernel died, killed or out of memory in or after cell c1",
        ),
        (executed((1, []), (None, [])), 0, {"id": "x"}, "the kernel died, killed or out of memory in or after cell c0"),
        (executed((1, [])), 138, {"id": "x"}, "the kernel died, killed or out of memory in or after cell c0"),
        (executed((1, [])), 3, {"id": "x"}, "papermill ended with 3"),
        (executed((1, [])), 0, None, "the last cell, page.finish(), left no sentinel"),
        (executed((1, [])), 0, {"id": "y"}, "the sentinel is that of y, not of x: the id in notebook.setup is wrong"),
        (None, 1, None, "nothing was written (exit 1): OSError: no space"),
    ],
)
def test_only_count_error_exit_and_sentinel_together_make_a_page_complete(notebook, code, record, cause):
    assert (
        execution.why_incomplete(notebook, code, record, "x", "Traceback\n\x1b[1mOSError: no space\x1b[0m\n") == cause
    )


def test_what_papermill_adds_is_taken_off():
    notebook = executed((1, []))
    notebook["metadata"] = {"papermill": {"input_path": "/home/x"}, "ltlib": {}}
    notebook["cells"][0]["metadata"] = {"papermill": {"duration": 1}, "execution": {}, "tags": ["injected-parameters"]}
    banner = {"cell_type": "markdown", "id": "e", "metadata": {"tags": ["papermill-error-cell-tag"]}, "source": "!"}
    notebook["cells"].insert(0, banner)
    clean = execution.normalised(notebook)
    assert clean["metadata"] == {"ltlib": {}}
    assert [c["id"] for c in clean["cells"]] == ["injected-parameters"]
    assert clean["cells"][0]["metadata"] == {"tags": ["injected-parameters"]}


def test_a_wrong_parameter_is_refused_before_anything_starts(tmp_path: Path, monkeypatch):
    path = tmp_path / "notebooks" / "a.ipynb"
    write_notebook(path, {"id": "a", "title": "A", "question": "?"}, [("code", "1")])
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: pytest.fail("a process was started"))
    made = declared.all_pages(tmp_path / "notebooks")[0]
    with pytest.raises(UnknownName, match="notebook parameter 'sede'"):
        execution.execute(made, "quick", {"sede": 3})


def test_a_process_that_does_not_end_is_given_up():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    stop = threading.Event()
    assert execution.wait(process, 0.2, stop) == "timeout"
    stop.set()
    assert execution.wait(process, 60, stop) == "stop"
    family.kill(process.pid, "no such token")
    assert process.wait(timeout=5) != 0
    assert execution.wait(process, 60, None) == "ended"


@pytest.fixture
def project(tmp_path: Path, monkeypatch) -> Path:
    """A folder of notebooks and a place for reports."""
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "a place" / "notebooks"


def write(root: Path, name: str, code: str, text: str = "## Text", **raw) -> Path:
    path = root / f"{name}.ipynb"
    # Without the setup call of a real notebook: no kernel of these tests pays for importing torch.
    finish = (
        "import json, os\n"
        f'record = {{"id": "{name}", "tables": {{}}, "figures": {{}}, "runs": []}}\n'
        'open(os.environ["LTLIB_SENTINEL"], "w").write(json.dumps(record))\n'
        "# page.finish()"
    )
    body = [("parameters", 'profile = "quick"'), ("markdown", text), ("code", code), ("code", finish)]
    write_notebook(path, {"id": name, "title": name, "question": "?", **raw}, body)
    return path


def outcome_of(root: Path, name: str) -> execution.Execution:
    notebook = declared.read_notebook(root / f"{name}.ipynb")
    for count, cell in enumerate(c for c in notebook["cells"] if c["cell_type"] == "code"):
        cell |= {"execution_count": count + 1, "outputs": []}
    return execution.Execution("", 2.0, {"id": name, "runs": ["abc"]}, notebook)


def test_fresh_stale_failed_missing(project: Path, monkeypatch):
    root = project
    write(root, "a", "x = 1")
    calls: list[str] = []

    def execute(made, profile, **_):
        calls.append(made.id)
        return results.pop(0) if results else outcome_of(root, made.id)

    results: list[execution.Execution] = []
    monkeypatch.setattr(chain, "execute", execute)

    def run() -> chain.PageState:
        (state,) = chain.run_chain("quick", root=root)
        return state

    reports = project.parents[1] / "reports" / "quick"
    results.append(execution.Execution("cell c: no", 1.0, {}, outcome_of(root, "a").notebook))
    state = run()
    assert (state.state, state.reason, state.html) == ("failed", "cell c: no", None)
    assert (reports / "a.failed.html").is_file()
    with pytest.raises(IncompleteError, match=r"a \(failed\); cell c: no; run: ltlib reproduce"):
        chain.require_complete([state])

    assert run().state == "fresh"
    assert not (reports / "a.failed.html").exists()
    chain.require_complete([run()])
    assert calls == ["a", "a"]  # the fresh page was not executed again

    write(root, "a", "x  =  1  # same", text="## Other words")
    assert freshness.state(declared.all_pages(root)[0], "quick").reason == freshness.TEXT_CHANGED
    assert run().state == "fresh"
    assert "Other words" in (reports / "a.html").read_text()
    assert calls == ["a", "a"]  # words alone need no execution

    done = project.parents[1] / "reports" / "runs" / "abc" / "DONE"
    done.parent.mkdir(parents=True)
    done.write_text("{}")
    assert freshness.state(declared.all_pages(root)[0], "quick").state == "stale"  # its run was trained again
    assert run().state == "fresh"

    write(root, "a", "x = 2")
    good = (reports / "a.html").read_text()
    results.append(execution.Execution("the kernel died", 1.0, {}, None))
    state = run()
    assert (state.state, state.html) == ("stale", "a.html")
    assert "the kernel died" in state.reason
    assert (reports / "a.html").read_text() == good  # the last good page stays
    assert "stale" in (reports / "index.html").read_text()
    write(root, "a", "x = 1", grids=["convergent/no such table"])
    results.append(outcome_of(root, "a"))
    assert "no such table" in run().reason  # a wrong grid is this page's trouble only
    (reports / "a.json").write_text("{cut")
    assert freshness.state(declared.all_pages(root)[0], "quick").state == "missing"


def test_one_page_is_made_by_one_process_at_a_time(project: Path, monkeypatch):
    write(project, "a", "x = 1")
    made = declared.all_pages(project)[0]
    monkeypatch.setattr(chain, "execute", lambda p, profile, **_: chain.make(p, profile))
    with pytest.raises(LockedError, match=r"a \(quick\) is being worked on by process \d+"):
        chain.make(made, "quick")


def test_a_notebook_that_cannot_start_stops_no_other(project: Path, monkeypatch):
    write(project, "a", "x = 1")
    write(project, "b", "x = 1", after=["a"])

    def execute(made, profile, **_):
        if made.id == "a":
            raise SettingError("notebook parameter profile is int")
        return outcome_of(project, made.id)

    monkeypatch.setattr(chain, "execute", execute)
    lines: list[str] = []
    states = {s.page.id: s for s in chain.run_chain("quick", root=project, say=lines.append)}
    assert states["a"].state == "failed"
    assert "profile is int" in states["a"].reason
    assert states["b"].state == "fresh"
    assert lines[0] == "2 pages, 0 fresh, 2 to make"


def test_a_page_whose_lock_is_refused_keeps_its_state_and_stops_no_other(project: Path, monkeypatch):
    for name in ("a", "b", "c"):
        write(project, name, "x = 1")
    monkeypatch.setattr(chain, "execute", lambda made, profile, **_: outcome_of(project, made.id))
    chain.run_chain("quick", root=project)
    reports = project.parents[1] / "reports" / "quick"
    (reports / "b.lock").unlink(missing_ok=True)
    (reports / "b.lock").mkdir()  # no file can be opened there, as none of another user's can
    lines: list[str] = []
    with claim(reports / "a.lock", "a"):
        states = {s.page.id: s for s in chain.run_chain("quick", root=project, force=True, say=lines.append)}
    assert {name: found.state for name, found in states.items()} == {"a": "fresh", "b": "fresh", "c": "fresh"}
    said = {line.split(":")[0]: line for line in lines[1:]}
    assert "not made: a (quick) is being worked on by process" in said["a"]
    assert "not made: cannot write in" in said["b"]
    assert said["c"] == "c: done (2 s)"


def test_what_a_library_raises_stops_no_other_page(project: Path, monkeypatch):
    write(project, "a", "x = 1")
    write(project, "b", "x = 1")
    monkeypatch.setattr(chain, "execute", lambda made, profile, **_: outcome_of(project, made.id))
    export = chain._export

    def breaks(exporter, made, *rest):
        if made.id == "a":
            raise AttributeError("MathBlockParser has no attribute x")
        export(exporter, made, *rest)

    monkeypatch.setattr(chain, "_export", breaks)
    states = {s.page.id: s for s in chain.run_chain("quick", root=project)}
    assert states["b"].state == "fresh"
    assert "AttributeError: MathBlockParser has no attribute x" in states["a"].reason


def test_notebooks_that_are_no_page_stop_no_other(project: Path, monkeypatch):
    write(project, "a", "x = 1")
    copy = project / "a-Copy1.ipynb"
    copy.write_bytes((project / "a.ipynb").read_bytes())
    (project / "Untitled.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    (project / "new.ipynb").touch()
    (project / "cut.ipynb").write_text('{"cells": [')
    write(project, "odd", "x = 1")
    text = (project / "odd.ipynb").read_text()
    (project / "odd.ipynb").write_text(text.replace('"title": "odd"', '"title": 3'))
    (project / ".ipynb_checkpoints").mkdir()
    (project / ".ipynb_checkpoints" / "a-checkpoint.ipynb").write_bytes(copy.read_bytes())
    made: list[str] = []

    def execute(page, profile, **_):
        made.append(str(page.path))
        return outcome_of(project, page.id)

    monkeypatch.setattr(chain, "execute", execute)
    lines: list[str] = []
    states = {s.page.id: s for s in chain.run_chain("quick", root=project, say=lines.append)}
    assert made == [str(project / "a.ipynb")]
    assert {name: found.state for name, found in states.items()} == {"a": "fresh", "cut": "failed", "odd": "failed"}
    assert states["cut"].reason.startswith(f"{project / 'cut.ipynb'} is not a notebook")
    assert (
        states["odd"].reason == f"{project / 'odd.ipynb'}: its metadata key 'title' must be a text of one line, not 3"
    )
    assert sorted(line for line in lines if "left out" in line) == [
        f"{project / 'Untitled.ipynb'} is left out: it declares nothing under 'ltlib' in its metadata",
        f"{copy} is left out: it declares the page 'a', which is {project / 'a.ipynb'}'s",
        f"{project / 'new.ipynb'} is left out: it declares nothing under 'ltlib' in its metadata",
    ]


def test_missing_runs_of_all_pages_are_trained_together_first(project: Path, monkeypatch):
    from types import SimpleNamespace

    from ltlib import grids

    write(project, "a", "x = 1", grids=["g", "h"])
    write(project, "b", "x = 1", grids=["h"])
    finished = project.parents[1] / "reports" / "runs" / "one" / "DONE"
    finished.parent.mkdir(parents=True)
    finished.write_text("{}")
    table = {"g": ["one", "two"], "h": ["two", "three"]}
    monkeypatch.setattr(grids, "experiments", lambda name, _: ([SimpleNamespace(run_id=i) for i in table[name]], {}))
    monkeypatch.setattr(chain, "execute", lambda made, profile, **_: outcome_of(project, made.id))
    trained: list[str] = []
    chain.run_chain("quick", root=project, train=lambda todo: trained.extend(e.run_id for e in todo))
    assert trained == ["two", "three"]


def finish_a_run(project: Path) -> None:
    """As a page does that trains one of its own."""
    seal = project.parents[1] / "reports" / "runs" / "own" / "DONE"
    seal.parent.mkdir(parents=True)
    seal.write_text("{}")


def test_a_page_that_shows_every_run_is_made_when_the_others_have_trained_theirs(project: Path, monkeypatch):
    """The first page in reading order, beside one that trains a run of its own."""
    write(project, "a", "x = 1", watches=["runs"])
    write(project, "b", "x = 1")
    made: list[str] = []

    def executed(page, profile, **_):
        made.append(page.id)
        if page.id == "b":
            time.sleep(0.3)
            finish_a_run(project)
        return outcome_of(project, page.id)

    monkeypatch.setattr(chain, "execute", executed)
    states = chain.run_chain("quick", root=project, jobs=2)
    assert made == ["b", "a"]
    assert {item.page.id: item.state for item in states} == {"a": "fresh", "b": "fresh"}


def test_pages_that_show_every_run_are_made_one_after_another(project: Path, monkeypatch):
    """The first of them trains a run of its own, late enough for the other to miss it."""
    write(project, "a", "x = 1", watches=["runs"])
    write(project, "b", "x = 1", watches=["runs"], after=["a"])

    def executed(page, profile, **_):
        if page.id == "a":
            time.sleep(0.3)
            finish_a_run(project)
        return outcome_of(project, page.id)

    monkeypatch.setattr(chain, "execute", executed)
    states = chain.run_chain("quick", root=project, jobs=2)
    assert {item.page.id: item.state for item in states} == {"a": "fresh", "b": "fresh"}


def test_a_page_with_empty_tables_only_is_not_executed_and_says_what_fills_it(project: Path, monkeypatch):
    from types import SimpleNamespace

    from ltlib import grids

    own = {"document": "convergent", "tables": ["1", "2"]}
    write(project, "bare", "x = 1", grids=["convergent/1", "convergent/2", "convergent/factors"], **own)
    write(
        project, "counts", "x = 1", grids=["convergent/1"], **own
    )  # Table 2 needs no runs: there is something to show
    write(project, "filled", "x = 1", grids=["convergent/3"], document="convergent", tables=["3"])
    write(project, "elsewhere", "x = 1", grids=["convergent/4"], document="convergent", tables=["4"])
    write(project, "single", "x = 1", grids=["convergent/5"], document="convergent", tables=["5"])
    finished = project.parents[1] / "reports" / "runs" / "three" / "DONE"
    finished.parent.mkdir(parents=True)
    finished.write_text("{}")
    runs = {
        "1": ["one", "both"],
        "2": ["two", "both"],
        "3": ["three", "four"],
        "4": [],
        "5": ["five"],
        "factors": ["three"],
    }

    def experiments(name: str, _: str):
        return [SimpleNamespace(run_id=i) for i in runs[name.partition("/")[2]]], {}

    monkeypatch.setattr(grids, "experiments", experiments)
    made: list[str] = []
    monkeypatch.setattr(chain, "execute", lambda p, profile, **_: made.append(p.id) or outcome_of(project, p.id))
    lines: list[str] = []
    states = {s.page.id: s for s in chain.run_chain("laptop", root=project, say=lines.append)}
    assert sorted(made) == ["counts", "filled"]
    assert states["bare"].state == "empty"
    assert states["bare"].reason == "none of the 3 runs that fill Tables 1, 2 is here"
    assert (
        "bare: nothing here yet, none of the 3 runs that fill Tables 1, 2 is here; not executed; fill it with: "
        "ltlib reproduce --profile laptop --only bare"
    ) in lines
    assert states["single"].reason == "the run that fills Table 5 is not here"
    assert states["elsewhere"].reason == "no run of profile laptop fills Table 4"
    assert states["elsewhere"].command == "ltlib reproduce --profile paper --only elsewhere"
    assert {states["counts"].state, states["filled"].state} == {"fresh"}
    chain.require_complete(states.values())  # it is no failure
    index = (project.parents[1] / "reports" / "laptop" / "index.html").read_text()
    assert "nothing here yet</span>" in index
    assert "<b>3</b> pages with nothing yet" in index
    chain.run_chain("paper", ["bare"], root=project, force=True)
    assert made.count("bare") == 1  # whoever insists gets it
    again = {s.page.id: s for s in chain.run_chain("paper", root=project)}
    assert again["bare"].state == "empty"  # made or not, it is not fresh


@pytest.mark.kernel
def test_notebooks_that_work_raise_and_die(project: Path):
    write(project, "good", "print(profile, __import__('os').getcwd())")
    write(project, "raises", "raise ValueError('no disk')", after=["good"])
    write(project, "dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    states = {state.page.id: state for state in chain.run_chain("quick", root=project, jobs=2)}
    reports = project.parents[1] / "reports" / "quick"
    assert states["good"].state == "fresh", states["good"].reason
    assert states["raises"].reason == "cell raise-valueerror-no-disk: ValueError: no disk"
    assert states["dies"].reason.startswith("the kernel died, killed or out of memory in or after cell")
    assert not (reports / "dies.html").exists()
    assert "the kernel died" in (reports / "dies.failed.html").read_text()
    copy = json.loads((reports / "good.ipynb").read_text())
    assert any("a place/notebooks" in "".join(o.get("text", "")) for c in copy["cells"] for o in c.get("outputs", ()))
    assert str(sys.prefix) not in (reports / "good.ipynb").read_text()


@pytest.mark.kernel
def test_stopping_a_notebook_ends_what_its_cells_started(project: Path, tmp_path: Path):
    pid_file = tmp_path / "pid"
    write(
        project,
        "hangs",
        "import subprocess, sys, time\n"
        'child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)\n'
        f'open("{pid_file}", "w").write(str(child.pid))\n'
        "time.sleep(600)",
    )
    stop = threading.Event()

    def watch():
        while not (pid_file.exists() and pid_file.read_text()):
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    outcome = execution.execute(declared.all_pages(project)[0], "quick", timeout=120, stop=stop)
    assert outcome.cause == "it was interrupted"
    assert not outcome.complete
    child = int(pid_file.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
