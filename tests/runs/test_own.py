"""Runs of one's own components: an edited one is another run, and what cannot be checked here is still sound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ltlib import cli, losses, methods, plugins, runs
from ltlib.errors import RunsFailed, SettingError
from ltlib.experiment import Experiment
from ltlib.runs import sweep, worker
from notebooks import run_cell

LOSS = """
from torch.nn import functional
from ltlib import losses, methods

FACTOR = 1.0

@losses.LOSSES.register("mine_alone")
class Mine(losses.Loss):
    def __init__(self, class_counts, *, power: float = 0.5):
        super().__init__()

    def per_sample(self, logits, targets):
        return FACTOR * functional.cross_entropy(logits, targets, reduction="none")

@methods.METHODS.register("mine_alone")
def mine():
    return (methods.Stage(loss="mine_alone", sampler="class_balanced"),)
"""


@pytest.fixture(autouse=True)
def _no_plugins_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def notebook() -> Callable[..., None]:
    """Runs cells of one notebook, each under a name of its own."""
    space: dict[str, Any] = {"__name__": "__main__"}
    number = iter(range(99))

    def run(text: str) -> None:
        run_cell(text, f"<own cell {next(number)}>", space)

    return run


@pytest.fixture
def own(tiny: Experiment) -> Experiment:
    return tiny.replace(method="mine_alone", recipe="convergent[augmentation=none;epochs=1]")


def forget() -> None:
    """As a process is that never registered it."""
    losses.LOSSES._entries.pop("mine_alone")
    methods.METHODS._entries.pop("mine_alone")


def test_an_edited_loss_is_trained_again(notebook: Callable[..., None], own: Experiment) -> None:
    notebook(LOSS)
    first = runs.run(own)
    assert first.own == ["method mine_alone", "loss mine_alone"]
    notebook(LOSS.replace("    def per_sample", "    # a remark\n    def per_sample"))
    assert runs.run(own, train=False).id == first.id
    notebook(LOSS.replace("return FACTOR", "return 0 * FACTOR"))
    second = runs.run(own)
    assert second.id != first.id
    assert second.history["train_loss"].iloc[0] == 0 < first.history["train_loss"].iloc[0]
    notebook(LOSS)
    notebook("FACTOR = 3.0")
    assert runs.load(own.run_id) is None


PARTS = {
    "sampler": (
        "from ltlib.batches.samplers import SAMPLERS, Sampler\nimport torch\nLAST = 0\n"
        "@SAMPLERS.register('mine_alone')\ndef mine():\n    return Mine()\n"
        "class Mine(Sampler):\n    def order(self, targets, epoch, epochs, generator):\n"
        "        return torch.randperm(len(targets), generator=generator) + LAST\n"
        "from ltlib import methods\n@methods.METHODS.register('mine_alone')\ndef method():\n"
        "    return (methods.Stage(loss='ce', sampler='mine_alone'),)\n",
        {"method": "mine_alone"},
    ),
    "model": (
        "from ltlib.models import MODELS\nfrom ltlib.models.cifar_resnet import CifarResNet\nLAST = 8\n"
        "MODELS.register('mine_alone')(lambda: CifarResNet(LAST))\n",
        {"model": "mine_alone"},
    ),
    "optimizer": (
        "from dataclasses import dataclass\nfrom ltlib.recipes import OPTIMIZERS\nimport torch\nLAST = 0\n"
        "@OPTIMIZERS.register('mine_alone')\n@dataclass(frozen=True, kw_only=True)\nclass Mine:\n    a: float = 1.0\n"
        "    def make(self, groups, lr, weight_decay, fused):\n        return torch.optim.SGD(groups, lr=lr + LAST)\n",
        {"recipe": "ldam[optimizer=mine_alone]"},
    ),
    "optimizer of a name that is there": (
        "from dataclasses import dataclass\nfrom ltlib.recipes import OPTIMIZERS\nimport torch\nLAST = 0\n"
        "@OPTIMIZERS.register('sgd')\n@dataclass(frozen=True, kw_only=True)\nclass Mine:\n    momentum: float = 0.9\n"
        "    nesterov: bool = False\n    def make(self, groups, lr, weight_decay, fused):\n"
        "        return torch.optim.SGD(groups, lr=lr + LAST)\n",
        {},
    ),
    "data set": (
        "from ltlib.datasets.base import DATASETS, DatasetBuilder, DatasetInfo\nLAST = 8\n"
        "@DATASETS.register('mine_alone')\nclass Mine(DatasetBuilder):\n    def info(self):\n"
        "        return DatasetInfo(name=self.name, num_classes=2, image_size=8, train_images=9, test_images=9,\n"
        "            digest='one', flips=True)\n"
        "    def read(self, root, fetch=False):\n        return LAST\n",
        {"dataset": "mine_alone"},
    ),
    "loss within a loss": (
        LOSS.replace("FACTOR", "LAST") + "@methods.METHODS.register('mine_alone')\ndef method():\n"
        "    return (methods.Stage(loss='deferred[base=mine_alone]'),)\n",
        {"method": "mine_alone"},
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_every_kind_of_component_counts(part: str, notebook: Callable[..., None], tiny: Experiment) -> None:
    text, changes = PARTS[part]
    notebook(text)
    experiment = tiny.replace(**changes)
    first = experiment.run_id
    notebook("LAST = 5")
    assert experiment.run_id != first
    notebook(text.replace("LAST = 0", "LAST = 0  # none").replace("LAST = 8", "LAST = 8  # eight"))
    assert experiment.run_id == first


def test_a_recipe_and_a_method_are_what_they_return(notebook: Callable[..., None], tiny: Experiment) -> None:
    """Their source plays no part: equal stages and values are equal runs."""
    text = (
        "from ltlib import methods, recipes\nEPOCHS = 2\n"
        "@methods.METHODS.register('mine_alone')\ndef method():\n    return (methods.Stage(loss='focal'),)\n"
        "@recipes.RECIPES.register('mine_alone')\ndef recipe():\n    return recipes.create(f'ldam[epochs={EPOCHS}]')\n"
    )
    exec(text, {})
    mine = tiny.replace(method="mine_alone", recipe="mine_alone")
    assert mine.run_id == tiny.replace(method="focal", recipe="ldam[epochs=2]").run_id
    assert [str(one) for one in mine.resolve().own] == ["method mine_alone", "recipe mine_alone"]
    exec(text.replace("EPOCHS = 2", "EPOCHS = 3"), {})
    assert mine.run_id == tiny.replace(method="focal", recipe="ldam[epochs=3]").run_id


def test_a_value_that_a_method_reads_counts(notebook: Callable[..., None], tiny: Experiment) -> None:
    notebook("GAMMA = 1.0\nfrom ltlib import methods\n@methods.METHODS.register('mine_alone')\ndef method():\n"
             "    return (methods.Stage(loss=f'focal[gamma={GAMMA}]'),)\n")  # fmt: skip
    mine = tiny.replace(method="mine_alone", recipe="ldam")
    assert mine.run_id == mine.replace(method="focal[gamma=1]").run_id
    notebook("GAMMA = 3.0")
    assert mine.run_id == mine.replace(method="focal[gamma=3]").run_id


def test_without_source_a_run_is_refused(own: Experiment) -> None:
    text = LOSS.replace("return FACTOR", "return 1.5 * FACTOR")
    exec(text, {})
    with pytest.raises(SettingError, match="your own loss mine_alone"):
        runs.run(own)
    exec(text.replace('register("mine_alone")', 'register("mine_alone", version=1)'), {})
    assert runs.run(own).history["train_loss"].iloc[0] > 0


def test_a_process_that_does_not_know_it_reads_and_verifies_the_run(
    notebook: Callable[..., None], own: Experiment, tiny: Experiment, capsys: pytest.CaptureFixture[str], no_data: Path
) -> None:
    notebook(LOSS)
    run = runs.run(own)
    other = runs.run(tiny.replace(recipe=own.recipe))
    assert cli.main(["verify"]) == 0
    assert capsys.readouterr().out == "2 runs, nothing wrong\n"
    forget()
    assert {found.id for found in runs.finished()} == {run.id, other.id}
    assert runs.load(run.id).metrics["last"]["accuracy"] == run.metrics["last"]["accuracy"]  # type: ignore[union-attr]
    assert cli.main(["verify"]) == 0
    told = f"run {run.id} was made by your own method mine_alone and loss mine_alone, which is not registered here"
    assert capsys.readouterr().out == f"{told}; its files are whole\n2 runs, nothing wrong\n"
    assert cli.main(["list", "runs"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2

    from ltlib.tables.scoreboard import scoreboard

    assert len(scoreboard(runs.finished())) == 2
    notebook(LOSS.replace("FACTOR *", "2 *"))
    assert cli.main(["verify"]) == 0
    assert "which is registered here with another source; its files" in capsys.readouterr().out
    assert run.folder is not None
    (run.folder / "history.csv").write_text("1")
    assert cli.main(["verify"]) == 1
    assert "history.csv has changed" in capsys.readouterr().out


def test_its_record_is_read_too(notebook: Callable[..., None], own: Experiment, reports: Path) -> None:
    notebook(LOSS)
    run = runs.run(own)
    run.record(reports / "laptop" / "records")
    assert run.folder is not None
    for file in run.folder.iterdir():
        file.unlink()
    run.folder.rmdir()
    forget()
    assert [(found.id, found.profile) for found in runs.finished()] == [(run.id, "laptop")]
    assert runs.verify() == []


# --- in other processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs that were trained in processes of their own."""
    found: list[str] = []
    send = worker.Worker.send
    monkeypatch.setattr(worker.Worker, "send", lambda self, asked: (found.append(asked["run"]), send(self, asked))[1])
    return found


def test_a_notebooks_method_is_trained_here(
    notebook: Callable[..., None], own: Experiment, tiny: Experiment, asked: list[str]
) -> None:
    notebook(LOSS)
    wanted = [own, tiny, own.replace(seed=1)]
    given: list[str] = []
    found = sweep.run_all(wanted, jobs=1, show=False, done=lambda run: given.append(run.id))
    assert [run.id for run in found] == [experiment.run_id for experiment in wanted]
    assert asked == [tiny.run_id]
    assert sorted(given) == sorted(run.id for run in found)


@pytest.mark.parametrize("way", ["load", "variable", "import"])
def test_a_plugin_is_trained_in_processes(
    way: str, own: Experiment, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_in_a_file.py").write_text(LOSS.replace("FACTOR = 1.0", "from beside_it import FACTOR"))
    (tmp_path / "beside_it.py").write_text("FACTOR = 1.0\n")
    if way == "load":
        plugins.load(tmp_path / "mine_in_a_file.py")
    elif way == "variable":
        monkeypatch.setenv("LTLIB_PLUGINS", str(tmp_path / "mine_in_a_file.py"))
    else:
        monkeypatch.syspath_prepend(tmp_path)
        __import__("mine_in_a_file")
    found = sweep.run_all([own], jobs=1, show=False)
    assert [run.id for run in found] == asked == [own.run_id]
    sys.modules.pop("mine_in_a_file", None)
    sys.modules.pop("beside_it", None)


def test_a_plugin_that_is_another_one_by_now_is_trained_here(own: Experiment, asked: list[str], tmp_path: Path) -> None:
    """The other process reads the file anew: its component is not the one that was asked for."""
    path = tmp_path / "mine_in_a_file.py"
    path.write_text(LOSS)
    plugins.load(path)
    wanted = own.run_id
    path.write_text(LOSS.replace("return FACTOR", "return 5"))
    found = sweep.run_all([own], jobs=1, show=False)
    assert [run.id for run in found] == asked == [wanted]


def test_a_missing_run_is_an_error_that_names_it(
    notebook: Callable[..., None], own: Experiment, tiny: Experiment, no_data: Path
) -> None:
    notebook(LOSS.replace("return FACTOR", "return 1 / 0"))
    lost = tiny.replace(dataset="cifar10")
    with pytest.raises(RunsFailed, match="2 of 3 runs failed") as caught:
        sweep.run_all([lost, tiny, own], jobs=1, show=False)
    assert [run.id for run in caught.value.runs] == [tiny.run_id]
    assert caught.value.failures.keys() == {lost.run_id, own.run_id}
    said = str(caught.value)
    assert "ZeroDivisionError" in said
    assert "mine_alone on digits" in said
    assert lost.run_id in said
    again = sweep.run_all([lost, tiny, own], train=False, show=False, strict=False)
    assert [run.id for run in again] == [tiny.run_id]
    assert again.failures == caught.value.failures
    with pytest.raises(RunsFailed, match="1 of 1 runs failed"):
        sweep.run_all([lost], train=False)


def test_the_command_line_knows_plugins(tmp_path: Path, reports: Path) -> None:
    (tmp_path / "mine_in_a_file.py").write_text(LOSS)
    command = [sys.executable, "-m", "ltlib.cli"]

    def said(*arguments: str, plugin: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"LTLIB_PLUGINS": plugin}
        return subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, check=False)

    listed = said("list", "mine_alone", plugin=str(tmp_path / "mine_in_a_file.py"))
    assert "method mine_alone" in listed.stdout
    assert "  power = 0.5" in listed.stdout
    wrong = said("list", "methods", plugin=str(tmp_path / "none.py"))
    assert wrong.returncode == 2
    assert wrong.stderr.startswith(f"ltlib: the plugin {tmp_path / 'none.py'} is not there")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    bad = said("list", "methods", plugin=str(tmp_path / "bad.py"))
    assert bad.stderr == (
        f"ltlib: the plugin {tmp_path / 'bad.py'} cannot be imported: ZeroDivisionError: division by zero\n"
    )


def test_a_blank_variable_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTLIB_PLUGINS", " ")
    assert plugins.named() == []
    monkeypatch.setenv("LTLIB_PLUGINS", "a.py, b.c:d.py")
    assert plugins.named() == ["a.py", "b.c", "d.py"]


def test_a_process_in_another_folder_finds_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugins.environment() == {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTLIB_PLUGINS", "mine.py,some.module")
    assert plugins.environment() == {"LTLIB_PLUGINS": os.pathsep.join((str(tmp_path / "mine.py"), "some.module"))}


def test_the_run_file_says_what_is_ones_own(notebook: Callable[..., None], own: Experiment, tiny: Experiment) -> None:
    notebook(LOSS)
    for experiment, expected in ((own, ["method mine_alone", "loss mine_alone"]), (tiny, None)):
        folder = runs.run(experiment).folder
        assert folder is not None
        assert json.loads((folder / "run.json").read_text()).get("own") == expected
