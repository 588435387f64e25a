"""The command line: a mistake gives one sentence and a failing exit code, and writes nothing."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from ltlib import cli, datasets, grids, methods, runs
from ltlib.datasets.digits_mushroom import DigitsMushroom
from ltlib.errors import UnknownName
from ltlib.experiment import Experiment
from ltlib.pages import order
from ltlib.runs import Run, cost
from ltlib.runs.cost import Pace

TINY = [
    "--dataset=digits",
    "--imbalance-factor=20",
    "--model=resnet8",
    "--recipe=convergent[augmentation=shift1]",
    "--epochs=2",
    "--limit=150",
]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch, no_data: Path) -> None:
    monkeypatch.setattr(cost, "measure", lambda: Pace(1e-4, 1e10))


@pytest.fixture
def _one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """One notebook, so that these tests do not depend on which there are."""
    page = SimpleNamespace(id="convergent/cifar10", notebook="convergent/cifar10", title="x", grids=("convergent/1",))
    monkeypatch.setattr(order, "pages", lambda: [page])


BAD = [
    (["train", "--dataset=cifar11"], "unknown dataset 'cifar11'; did you mean cifar10"),
    (["train", "--model=resnet31"], "unknown model 'resnet31'; did you mean resnet"),
    (["train", "--method=focall"], "unknown method 'focall'; did you mean focal or focal_sigmoid?"),
    (["train", "--method=focal[gama=1]"], "unknown setting of method focal: 'gama'; did you mean gamma?"),
    (["train", "--method=focal[gamma=high]"], "setting gamma of method focal must be a number"),
    (["train", "--method=focal[gamma"], "cannot read 'focal[gamma'"),
    (["train", "--recipe=ldma"], "unknown recipe 'ldma'; did you mean ldam?"),
    (["train", "--recipe=ldam[lr=0]"], "lr of a recipe must be a number above 0"),
    (["train", "--recipe=ldam[selection=best_validation_loss]"], "validation='subset'"),
    (["train", "--imbalance-factor=0.5"], "must be at least 1, not 0.5"),
    (["train", "--imbalance-factor=nan"], "must be at least 1, not nan"),
    (["train", "--imbalance-type=linear"], "imbalance_type must be one of exponential"),
    (["train", "--class-counts", "5", "4"], "2 numbers, cifar10 has 10 classes"),
    (["train", "--seed=-1"], "seed must be a whole number from 0"),
    (["train", "--limit=0"], "limit must be a whole number of at least 1"),
    (["train", "--epochs=0"], "epochs of a recipe must be a whole number of at least 1"),
    (["train", "--profile=big"], "unknown profile 'big'; known: laptop, paper, quick"),
    (["train", "--model=resnet50", "--profile=laptop"], "one small network stands for all"),
    (["train", "--dataset=folder:/nowhere/at/all"], "/nowhere/at/all is not a folder"),
    (["train", "--dataset=cifar10"], "cifar"),
    (["reproduce", "--profile=quik", "--dry-run"], "unknown profile 'quik'; did you mean quick?"),
    (["reproduce", "--only", "convergnt"], "unknown notebook 'convergnt'; did you mean convergent"),
    (["reproduce", "--grid", "convergent/77"], "unknown grid 'convergent/77'"),
    (["reproduce", "--budget=soon", "--dry-run"], "cannot read the budget 'soon'; write it as 90s, 30m or 6h"),
    (["reproduce", "--budget=", "--dry-run"], "cannot read the budget ''"),
    (["reproduce", "--jobs=0", "--dry-run"], "jobs must be at least 1"),
    (["reproduce", "--profile=paper", "--grid", "convergent/1"], "9 wait for data"),
    (["status", "--profile=big"], "unknown profile 'big'"),
    (["list", "methodz"], "unknown name 'methodz'; did you mean methods or moths?"),
    (["list", "mislass"], "unknown name 'mislass'; did you mean mislas"),
    (["data", "verify"], "say which set to verify: digits"),
    (["data", "verify", "cifar11"], "unknown dataset 'cifar11'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
@pytest.mark.usefixtures("_one_page")
def test_bad_input_gives_one_sentence_and_writes_nothing(
    arguments: list[str], sentence: str, reports: Path, no_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(arguments)
    said = capsys.readouterr()
    assert code not in (0, None)
    assert sentence in said.err
    assert said.err.startswith("ltlib: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err + said.out
    if not (arguments[0] == "train" and "cifar10" in arguments[-1] and "dataset" in arguments[-1]):
        assert not reports.exists()
    assert list(reports.rglob("DONE")) == []
    assert list(no_data.iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["trian"], ["train", "--sede=1"], ["train", "--seed=x"], ["list", "a", "b"]])
def test_what_cannot_be_parsed_ends_with_code_2(
    arguments: list[str], reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not reports.exists()


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(UnknownName):
        cli.main(["train", "--dataset=cifar11", "--debug"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_an_interrupt_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    def interrupted(self: cli.List) -> int:
        raise error

    monkeypatch.setattr(cli.List, "run", interrupted)
    monkeypatch.setattr(cli.os, "dup2", lambda *_: None)
    assert cli.main(["list"]) == (130 if error is KeyboardInterrupt else 0)


def test_list_methods_says_id_line_source_and_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == methods.METHODS.names()
    for entry, line in zip(methods.METHODS, lines, strict=True):
        assert entry.summary in line
        assert f"[{entry.source}]" in line
    count = {line.split()[0]: line.rsplit("  ", 1)[1] for line in lines}
    assert (count["ce"], count["supcon"]) == ("1 stage", "2 stages")


@pytest.mark.parametrize(
    "what",
    [
        *("models", "datasets", "recipes", "optimizers", "samplers", "losses", "mixings", "finishes", "classifiers"),
        *("grids", "profiles"),
    ],
)
def test_lists(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(set(lines)) > 0
    if what == "grids":
        assert lines == grids.names()
    if what == "datasets":
        here = {line.split()[0] for line in lines if line.endswith("here")}
        assert here == {name for name in datasets.names() if name.startswith("digits")}
        assert any(line.startswith("moths ") and "put one folder of images per species into" in line for line in lines)
        assert any("not here: ltlib data download cifar10" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("focal", ["method focal, version 1", "loss focal, version 1", "  gamma = 2.0", "  alpha = none"]),
        ("las", ["method label_aware_smoothing, version 1", "loss label_aware_smoothing, version 1"]),
        (
            "crt",
            ["method crt, version 1", "  epochs = 0.05", "  source: Kang et al. 2020, section 4.2; awabs Table 4.1"],
        ),
        ("ldam", ["recipe ldam, version 1", "  epochs = 200", "  milestones = 0.8+0.9", "  classifier = cosine"]),
        ("class_aware", ["sampler class_aware, version 1", "  per_class = 4"]),
        ("adam[beta1=0.5]", ["optimizer adam, version 1", "  beta1 = 0.9"]),
        ("resnet8", ["model resnet8, version 1", "  source: He et al. 2016, section 4.2"]),
        ("cutmix", ["mixing cutmix, version 1", "  prob = 1.0"]),
        ("digits", ["dataset digits, version 1"]),
        ("tau_normalization", ["finish tau_normalization, version 1", "  tau = 1.0"]),
    ],
)
def test_one_component_by_name(name: str, lines: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", name]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line not in said] == []
    stages = [line for line in said if line.startswith("  stage ")]
    if name == "crt":
        assert len(stages) == 2
        assert stages[1] == "  stage 2: ce, sampler class_balanced; 0.05 of the epochs, trains classifier"
    if name == "focal":
        assert "      gamma: Focusing exponent, >= 0; at 0 without alpha this is `CrossEntropy`, to the bit." in said


def test_a_run_is_trained_then_loaded_listed_and_verified(
    tiny: Experiment, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    assert cli.main(["train", *TINY]) == 0
    assert signal.getsignal(signal.SIGTERM) == handler
    out = capsys.readouterr().out
    assert f"run {tiny.run_id}: about " in out
    assert "epoch 2/2" in out
    assert f"run {tiny.run_id}: test accuracy" in out
    before = {file: file.stat().st_mtime_ns for file in reports.rglob("*") if file.suffix != ".lock"}
    assert cli.main(["train", *TINY]) == 0
    assert "epoch" not in capsys.readouterr().out.splitlines()[0].split(":")[0]
    assert {file: file.stat().st_mtime_ns for file in reports.rglob("*") if file.suffix != ".lock"} == before
    assert cli.main(["list", "runs"]) == 0
    assert capsys.readouterr().out.startswith(f"{tiny.run_id}  ")
    assert cli.main(["verify"]) == 0
    assert capsys.readouterr().out == "1 runs, nothing wrong\n"


def test_verify_fails_where_something_is_wrong(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained.folder is not None
    with (trained.folder / "history.csv").open("a") as stream:
        stream.write("1")
    assert cli.main(["verify"]) == 1
    said = capsys.readouterr()
    assert "history.csv has changed" in said.out
    assert "1 problems" in said.err


@pytest.mark.usefixtures("_one_page")
def test_a_dry_run_prints_the_plan_and_writes_nothing(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce", "--dry-run", "--jobs=2"]) == 0
    assert capsys.readouterr().out.startswith("quick: 3 runs, 0 finished, 3 to train now, about ")
    assert cli.main(["reproduce", "--dry-run", "--profile=laptop"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("laptop: 3 runs, 0 finished, 0 to train now\n")
    assert "3 runs wait for cifar10, which is not here: ltlib data download cifar10" in said
    assert "all that is left, its data here or not: 3 runs with 3 stages, 3 of them different" in said
    assert re.search(r"about \S+ .*in one process of this machine", said), "a time without data too"
    assert not reports.exists()


def test_paper_without_a_gpu_needs_force(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ltlib.cli.reproduce.say", lambda line: None)
    monkeypatch.setattr("ltlib.datasets.available", lambda name: True)
    assert cli.main(["reproduce", "--profile=paper", "--grid", "convergent/1"]) == 2
    assert "add --force" in capsys.readouterr().err


def test_a_grid_of_finished_runs_is_done_and_gets_its_records(
    trained: Run, tiny: Experiment, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the process that trained them was killed before it wrote their records."""
    monkeypatch.setattr(grids, "experiments", lambda name, profile: ([tiny], {}))
    assert cli.main(["reproduce", "--profile=laptop", "--grid", "convergent/1"]) == 0
    record = reports / "laptop" / "records" / f"{tiny.run_id}.json"
    made = record.stat().st_mtime_ns
    assert cli.main(["reproduce", "--profile=laptop", "--grid", "convergent/1"]) == 0
    assert record.stat().st_mtime_ns == made
    assert tiny.run_id in (reports / "laptop" / "results.csv").read_text()
    assert runs.verify() == []


def test_results_are_written_once(trained: Run, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltlib.runs import records

    written: list[Path] = []
    monkeypatch.setattr(grids, "experiments", lambda name, profile: ([tiny], {}))
    monkeypatch.setattr(records, "write", written.append)
    assert cli.main(["reproduce", "--profile=laptop", "--grid", "convergent/1"]) == 0
    assert len(written) == 1


def test_a_failed_run_fails_the_command(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ltlib.runs import sweep

    monkeypatch.setattr(grids, "experiments", lambda name, profile: ([tiny], {}))
    monkeypatch.setattr(sweep, "run_all", lambda *a, **k: sweep.RunList([], {tiny.run_id: "the disk is full"}))
    assert cli.main(["reproduce", "--grid", "convergent/1"]) == 1
    said = capsys.readouterr()
    assert f"run {tiny.run_id} failed: the disk is full" in said.out
    assert "1 runs failed" in said.err


@pytest.mark.parametrize("what", ["data", "step"])
def test_a_bench_is_measured_and_written(what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ltlib import bench

    asked: list[tuple[str, int]] = []
    for name in ("data", "step"):
        monkeypatch.setattr(
            bench, name, lambda *, rounds, name=name: asked.append((name, rounds)) or {"bench": name, "rounds": rounds}
        )
    out = tmp_path / "result.json"
    assert cli.main(["bench", what, "--rounds=3", f"--out={out}"]) == 0
    assert asked == [(what, 3)]
    assert json.loads(out.read_text()) == {"bench": what, "rounds": 3}


def test_verify_says_what_of_a_set_is_read_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DigitsMushroom, "tests", 40)
    assert cli.main(["data", "verify", "digits_mushroom"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 has 34 images: half of them, 17, are its test set, not 40"
    assert lines[4:] == ["digits_mushroom: 454 training and 274 test images, 9 classes"]


def test_advice_on_damaged_files_is_that_of_the_set(
    tmp_path: Path, no_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (number, ord(name), 0)).save(tmp_path / "photos" / name / f"{number}.png")
    name = f"folder:{tmp_path / 'photos'}@8"
    assert cli.main(["data", "verify", name]) == 0
    (tmp_path / "photos" / "a" / "1.png").write_bytes(b"")
    assert cli.main(["data", "verify", name]) == 1
    said = capsys.readouterr()
    assert "a/1.png, cannot be read (it is empty); replace or remove it" in said.out
    assert said.err == f"ltlib: 1 file is damaged or missing in {name}; replace or remove what is named\n"
    assert cli.main(["data", "verify", "cifar10"]) == 1
    assert (
        "files are damaged or missing in cifar10; ltlib data download cifar10 replaces them" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("compare P --skip audit --skip model", "compare P --skip audit model"),
        (
            "compare P --skip audit --target macro --skip model report",
            "compare P --target macro --skip audit model report",
        ),
        (
            "reproduce --only=convergent --profile laptop --only cefl",
            "reproduce --profile laptop --only convergent cefl",
        ),
        ("reproduce --grid cefl/2 cefl/3", "reproduce --grid cefl/2 cefl/3"),
        ("compare --skip=audit P", "compare --skip=audit P"),
        ("compare --skip=audit P --skip model", "compare P --skip audit model"),
        ("list methods", "list methods"),
        ("--help", "--help"),
    ],
)
def test_a_flag_given_twice_keeps_what_both_say(given: str, read: str) -> None:
    assert cli._together(given.split()) == read.split()
