"""Progress: spans of time as people say them, and no flood."""

from __future__ import annotations

import time

import pytest

from ltlib import progress
from ltlib.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_gets_a_line_every_half_minute_and_the_last_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    shown = Progress(100, "runs")
    for _ in range(100):
        now += 1.0
        shown.step("x")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["runs: 31/100", "runs: 62/100", "runs: 93/100", "runs: 100/100"]
    assert lines[0] == "runs: 31/100, 31 s, about 1 min 09 s left - x"
    assert "left" not in lines[-1]


def test_silent_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(1, "runs", enabled=False)
    shown.step()
    assert shown.done == 1
    assert capsys.readouterr().err == ""


def test_no_kernel_here() -> None:
    assert not progress.in_kernel()


def test_a_long_call_is_seen_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Progress(1, "map")
    seen: list[str] = []
    monkeypatch.setattr(line, "show", lambda detail="": seen.append(detail))
    with line.waiting("about 3 s", every=0.01):
        time.sleep(0.2)
    count = len(seen)
    assert count >= 3
    assert set(seen) == {"about 3 s"}
    time.sleep(0.05)
    assert len(seen) == count, "it ends with the block"


def test_the_last_line_is_shown_once_while_something_still_ends(capsys: pytest.CaptureFixture[str]) -> None:
    line = Progress(2, "runs")
    with line.waiting(every=0.01):
        line.step("a", count=2)
        time.sleep(0.1)
    assert capsys.readouterr().err.count("runs: 2/2") == 1
