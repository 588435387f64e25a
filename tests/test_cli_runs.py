"""``ltlib runs``: list, show, remove, export, import."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ltlib import runs, sealed
from ltlib.cli import main
from ltlib.experiment import Experiment
from ltlib.runs import Run


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[list[str], str]:
    """Lines of the output and the text of the errors."""
    assert main(["runs", *arguments]) == code
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_a_line_says_id_accuracy_seconds_place_and_settings(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (line, count), _ = said(capsys, "list")
    assert line.split()[:2] == [trained.id, f"{trained.metrics['last']['accuracy']:.1%}"]
    assert line.split()[2:5] == [str(round(trained.seconds)), "s", "full"]
    assert line.endswith("ce on digits, IF 20, resnet8, convergent[augmentation=shift1;epochs=2], seed 0")
    assert count == "1 run"
    assert main(["list", "runs"]) == 0
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(
    ("option", "right", "wrong", "near"),
    [
        ("--dataset", "digits", "digit", "did you mean digits?"),
        ("--method", "ce", "cee", "did you mean ce?"),
        ("--model", "resnet8", "resnet", "did you mean resnet8?"),
        ("--where", "full", "ful", "did you mean full?"),
    ],
)
def test_filters(
    trained: Run, capsys: pytest.CaptureFixture[str], option: str, right: str, wrong: str, near: str
) -> None:
    assert said(capsys, "list", option, right)[0][0].startswith(trained.id)
    assert near in said(capsys, "list", option, wrong, code=2)[1]


def test_records_are_told_from_full_runs(trained: Run, reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained.record(reports / "laptop" / "records")
    shutil.rmtree(reports / "runs")
    assert "laptop record" in said(capsys, "list", "--where", "laptop")[0][0]
    assert "did you mean" in said(capsys, "list", "--where", "laptob", code=2)[1]


def test_a_run_is_shown_with_all_it_says(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = said(capsys, "show", trained.id)
    text = "\n".join(lines)
    assert "  imbalance_factor: 20.0" in lines
    assert '  recipe: {"epochs": 2' in text
    assert f"  torch: {trained.provenance['torch']}" in lines
    tail = next(line for line in lines if line.startswith("  tail: "))
    assert f"accuracy {trained.metrics['last']['groups']['tail']['accuracy']:.4g}" in tail
    assert "the history's last row: stage 1, epoch 2," in text
    assert sum(line.endswith(" bytes") for line in lines) == len(trained.files()) >= 9
    assert f"did you mean {trained.id}?" in said(capsys, "show", trained.id[:-2], code=2)[1]
    assert "unknown finished run '../laptop'" in said(capsys, "show", "../laptop", code=2)[1]


def test_removing_frees_what_no_other_run_needs(
    tiny: Experiment,
    reports: Path,
    capsys: pytest.CaptureFixture[str],
    snapshot: Callable[[Path], dict[str, tuple[bytes, int]]],
) -> None:
    one, two = (runs.run(tiny.replace(method=method, limit=60)) for method in ("crt", "lws"))
    shared, own = one._facts["stages"]
    assert two._facts["stages"][0] == shared
    before = snapshot(reports)

    assert "name the runs to remove" in said(capsys, "remove", code=2)[1]
    lines, _ = said(capsys, "remove", one.id, "--dry-run")
    assert [Path(line.split()[-1]).name for line in lines[:-1]] == [one.id, own]
    size = int(lines[-1].split()[0].replace(",", ""))
    gone = [name for name in before if f"runs/{one.id}/" in name or (own in name and "locks" not in name)]
    assert size == sum(len(before[name][0]) for name in gone)
    whole = {name: found for name, found in snapshot(reports).items() if "locks" not in name}
    assert whole == {name: found for name, found in before.items() if "locks" not in name}

    said(capsys, "remove", one.id)
    after = snapshot(reports)
    assert {name for name in before if name not in after} == set(gone)
    assert runs.load(two.id) is not None
    assert runs.verify() == []
    said(capsys, "remove", two.id)
    assert [path.name for path in (reports / "runs" / "stages").iterdir() if path.name != "locks"] == ["work"]
    assert runs.run(tiny.replace(method="crt", limit=60)).metrics == one.metrics


def test_a_run_in_training_and_a_stage_in_use_stay(
    trained: Run, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sealed.claim(reports / "runs" / "locks" / f"{trained.id}.lock", "it"):
        assert "is being worked on by process" in said(capsys, "remove", trained.id, code=1)[1]
    with sealed.claim(reports / "runs" / "locks" / "0123456789ab.lock", "it"):  # one that is not finished yet
        assert "is being worked on by process" in said(capsys, "remove", "0123456789ab", code=1)[1]
    assert runs.load(trained.id) is not None
    with sealed.claim(reports / "runs" / "stages" / "locks" / f"{trained.id}.lock", "it"):
        assert any("stays" in line for line in said(capsys, "remove", trained.id)[0])
    assert runs.load(trained.id) is None
    assert sealed.finished(reports / "runs" / "stages" / trained._facts["stages"][-1])
    assert "unknown finished run" in said(capsys, "remove", trained.id, code=2)[1]


def test_where_another_run_cannot_be_read_no_stage_goes(
    trained: Run, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(reports / "runs" / trained.id, reports / "runs" / "0123456789ab")
    lines, _ = said(capsys, "remove", trained.id)
    assert any("what run 0123456789ab needs cannot be read" in line for line in lines)
    assert sealed.finished(reports / "runs" / "stages" / trained._facts["stages"][-1])
    said(capsys, "remove", "0123456789ab")
    assert not (reports / "runs" / "0123456789ab").exists()


def test_a_committed_record_stays_and_an_imported_one_goes(
    trained: Run, reports: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = trained.record(reports / "laptop" / "records")
    assert any("committed record" in line for line in said(capsys, "remove", trained.id)[0])
    assert committed.is_file()
    assert "only as a committed record" in said(capsys, "remove", trained.id, code=1)[1]
    committed.parent.rename(reports / "laptop" / "aside")
    (reports / "imported").mkdir()
    (reports / "laptop" / "aside").rename(reports / "imported" / "records")
    said(capsys, "remove", trained.id)
    assert list((reports / "imported" / "records").iterdir()) == []


def test_runs_go_to_another_machine(
    trained: Run, reports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.tar"
    lines, _ = said(capsys, "export", str(file))
    assert lines == [f"{file}: 1 runs, {file.stat().st_size:,} bytes"]
    small = tmp_path / "records.tar"
    said(capsys, "export", str(small), trained.id, "--records")
    assert small.stat().st_size < file.stat().st_size / 10
    assert f"did you mean {trained.id}?" in said(capsys, "export", str(file), f"{trained.id[:-1]}x", code=2)[1]
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path / "other"))
    assert said(capsys, "import", str(file))[0][0] == f"{trained.id}  imported"
    assert said(capsys, "import", str(file))[0][0] == f"{trained.id}  was here"
    file.write_bytes(file.read_bytes()[:-20_000])
    assert "make or fetch the archive again" in said(capsys, "import", str(file), code=1)[1]
