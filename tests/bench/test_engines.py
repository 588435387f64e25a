"""An engine's overhead: by hand, and that a batch is measured at all."""

from __future__ import annotations

import pytest

from ltlib.bench import engines
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.runs.outcomes import Outcome


def test_overhead_by_hand() -> None:
    """Process 1: 0 to 4 and 5 to 9, a second idle; process 2: 10 to 12, none. 11 s from first to last, 10 s of runs."""
    assert engines.overhead([(1, 0.0, 4.0), (2, 10.0, 12.0), (1, 5.0, 9.0)]) == pytest.approx(0.1)


def test_a_batch_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Four runs of half a second, one each second: 3.5 s from first to last, 2 s of runs."""
    ends = iter(float(end) for end in range(1, 100))

    class Fake:
        def __init__(self, *given: object):
            self.name = "nobody"

        def lanes(self) -> int:
            return 1

        def train(self, lane: int, experiment: Experiment, hear: object) -> Outcome:
            end = next(ends)
            return Outcome("done", experiment.run_id, (1, end - 0.5, end))

        def close(self) -> None:
            pass

    monkeypatch.setattr(engines, "Pool", Fake)
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("ltlib.runs.batch.Batch.settle", lambda self, experiment, error: None)
    found = engines.batch(rounds=2, count=4, jobs=2)
    assert found["overheads"] == {"local processes": [pytest.approx(0.75)] * 2}
    assert "75.00%" in capsys.readouterr().out
    with pytest.raises(SettingError, match="two runs each, not 1, 2 and 3"):
        engines.batch(rounds=1, count=3, jobs=2)
