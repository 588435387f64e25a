"""Shared by all tests: a reports folder of their own, one torch thread, and a training of a second on the digits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ltlib import grids, places, published, runs
from ltlib.cli import components
from ltlib.datasets.resampling import RESAMPLERS
from ltlib.experiment import Experiment
from ltlib.pages import canonical, declared
from ltlib.pages.page import Page
from ltlib.runs import Run
from notebooks import run_cell

TINY = Experiment(
    dataset="digits",
    imbalance_factor=20,
    model="resnet8",
    recipe="convergent[augmentation=shift1;epochs=2]",
    limit=150,
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Sums in several threads differ in their last bits."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty reports folder; nothing a test trains reaches the checkout's. Trained on the CPU, without CIFAR."""
    folder = tmp_path / "reports"
    monkeypatch.setenv("LTLIB_REPORTS", str(folder))
    monkeypatch.setenv("LTLIB_DEVICE", "cpu")
    return folder


@pytest.fixture(autouse=True)
def _registered_by_a_test_goes_with_it() -> Iterator[None]:
    """A notebook's cell or a script's block registers components of its own; no other test may see them."""
    every = [*components.registries().values(), RESAMPLERS]
    before = [(dict(registry._entries), dict(registry._aliases)) for registry in every]
    yield
    for registry, (entries, aliases) in zip(every, before, strict=True):
        own = [name for name, entry in registry._entries.items() if entry.own and entries.get(name) is not entry]
        for name in own:
            del registry._entries[name]
            if name in entries:
                registry._entries[name] = entries[name]
        gone = {name for name in own if name not in entries}
        for alias in [alias for alias, name in registry._aliases.items() if name in gone and alias not in aliases]:
            del registry._aliases[alias]


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with nothing in it."""
    folder = tmp_path / "no data"
    folder.mkdir()
    monkeypatch.setenv("LTLIB_DATA", str(folder))
    return folder


@pytest.fixture
def tiny() -> Experiment:
    """Trains in about a second."""
    return TINY


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports with the run of `TINY`, trained once."""
    folder = tmp_path_factory.mktemp("trained")
    before = {name: os.environ.get(name) for name in ("LTLIB_REPORTS", "LTLIB_DEVICE")}
    os.environ |= {"LTLIB_REPORTS": str(folder), "LTLIB_DEVICE": "cpu"}
    try:
        runs.run(TINY)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return folder


@pytest.fixture
def trained(_trained: Path, reports: Path) -> Run:
    """The finished run of `tiny`, in a reports folder the test may damage."""
    shutil.copytree(_trained, reports, dirs_exist_ok=True)
    run = runs.load(TINY.run_id)
    assert run is not None
    return run


@pytest.fixture
def print_of_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a made-up document: one method, two stages, two class groups."""
    import pandas as pd

    values = {("all", "1"): 40.0, ("all", "2"): 50.0, ("head", ""): 80.0, ("tail", ""): 30.0}
    row = {"dataset": "cifar10", "imbalance": 10.0, "method": "new", "metric": "accuracy", "unit": "percent"}
    rows = [row | {"split": split, "stage": stage, "value": v} for (split, stage), v in values.items()]
    monkeypatch.setattr(published, "table", lambda document, table: pd.DataFrame(rows))


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, tuple[bytes, int]]]:
    """Every file under a folder: its bytes and its time of change."""

    def take(folder: Path) -> dict[str, tuple[bytes, int]]:
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        return {str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}

    return take


@pytest.fixture
def executed_without_runs(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Page]:
    """Executes a notebook of the checkout, by id and in a profile, where nothing may be trained; gives its page."""

    def execute(name: str, profile: str) -> Page:
        monkeypatch.setenv("LTLIB_TRAIN", "0")
        folder = places.notebooks_folder()
        assert folder is not None
        path = folder / f"{name}.ipynb"
        notebook = declared.read_notebook(path)
        assert canonical.check(path) == []
        assert set(declared.of_notebook(notebook, path)[0].grids) <= set(grids.names())
        names: dict[str, Any] = {}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                tagged = "parameters" in cell["metadata"].get("tags", ())
                run_cell(f"profile = {profile!r}" if tagged else cell["source"], f"{name} {cell['id']}", names)
        return names["page"]

    return execute
