"""A thousand finished runs cost seconds, not minutes: planned, skipped, told of, indexed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from ltlib.experiment import Experiment
from ltlib.pages import cards, index
from ltlib.pages.declared import Declared
from ltlib.pages.report import PageState
from ltlib.runs import Run, plan, records, sweep

COUNT = 1000


def fastest(work: Callable[[], object]) -> float:
    """CPU seconds of the fastest of three."""
    spent = []
    for _ in range(3):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def test_a_thousand_finished_runs(trained: Run, tiny: Experiment, reports: Path) -> None:
    folder = reports / "laptop" / "records"
    trained.record(folder)
    facts = json.loads((folder / f"{trained.id}.json").read_text())
    facts["history"] += "".join(facts["history"].splitlines(keepends=True)[-1] for _ in range(200))
    arrays = (folder / f"{trained.id}.npz").read_bytes()
    wanted = [tiny.replace(seed=seed) for seed in range(COUNT)]
    for resolved in (experiment.resolve() for experiment in wanted[1:]):
        own = {"id": resolved.run_id, "identity": resolved.identity(), "experiment": resolved.settings()}
        (folder / f"{resolved.run_id}.json").write_text(json.dumps(facts | own))
        (folder / f"{resolved.run_id}.npz").write_bytes(arrays)

    def planned_and_skipped() -> None:
        work = plan.make("laptop", dict.fromkeys(wanted, 1))
        assert (len(work.finished), work.missing) == (COUNT, [])
        assert list(sweep.run_all(work.missing, show=False)) == []

    assert fastest(planned_and_skipped) < 2.0
    found = sweep.run_all(wanted, show=False)
    assert [run.id for run in found] == [experiment.run_id for experiment in wanted]
    assert fastest(lambda: records.write(folder.parent)) < 5.0

    text = cards.card(trained)
    (folder.parent / "runs").mkdir()
    for run in found:
        (folder.parent / "runs" / f"{run.id}.html").write_text(text)
    page = Declared("x/y", "A page", document="toy")
    state = PageState(page, "fresh", html="x/y.html", record={"runs": [run.id for run in found]})
    began = time.process_time()
    index.write_index(folder.parent, "laptop", [state])
    assert time.process_time() - began < 20.0
    assert '<a href="../x/y.html">A page</a>' in (folder.parent / "runs" / f"{found[-1].id}.html").read_text()
