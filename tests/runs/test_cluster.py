"""The Dask engine on loopback: two workers, one of them killed; folders shared and not; what is refused beforehand."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ltlib
from ltlib import cli, files, places, runs
from ltlib.errors import RunError, RunsFailed, SettingError
from ltlib.experiment import Experiment
from ltlib.runs import sweep
from ltlib.runs.engines import addresses, cluster, remote

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(600)]

LONG = "convergent[augmentation=shift1;epochs=30;patience=0]"


def log() -> str:
    return (places.reports_folder() / "batches" / "batch.log").read_text()


def test_without_the_extra_one_sentence_says_which(
    tiny: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reports: Path
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingError, match=r'pip install "ltlib\[cluster\]"'):
        sweep.run_all([tiny], cluster="tcp://127.0.0.1:1", show=False)
    arguments = ["reproduce", "--grid", "convergent/1", "--cluster", "local"]
    monkeypatch.setattr("ltlib.pages.chain.run_chain", None)
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    sentence = 'a cluster needs Dask, which is not installed; install the extra: pip install "ltlib[cluster]"'
    assert said == f"ltlib: {sentence}\n"
    assert not (reports / "runs").exists()


@pytest.fixture(scope="module")
def dask() -> None:
    pytest.importorskip("distributed", reason="needs the extra cluster")


@pytest.fixture(scope="module")
def scheduler(dask: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[bytes]]:
    """A scheduler and two workers that share no folder with anybody: each has its own reports."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--dashboard-address", ":0", "--scheduler-file", str(file)], stderr=subprocess.DEVNULL
    )
    while not file.is_file() or not file.read_text().strip():
        assert process.poll() is None
        time.sleep(0.05)
    process.address = files.read_json(file)["address"]  # type: ignore[attr-defined]
    process.folders = [folder / "one", folder / "two"]  # type: ignore[attr-defined]
    workers = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTLIB_DEVICE", "cpu")
        for own in process.folders:  # type: ignore[attr-defined]
            patch.setenv("LTLIB_REPORTS", str(own))
            workers.append(addresses.worker(process.address))  # type: ignore[attr-defined]
    yield process
    for one in (*workers, process):
        one.terminate()
    for one in (*workers, process):
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.wait(10)
        one.kill()


def test_a_lost_worker_costs_nothing_and_an_error_is_met_once(
    dask: None, tiny: Experiment, no_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, each with a GPU of its own as far as it can see; the one at the long run is killed."""
    monkeypatch.setattr(addresses, "gpus", lambda: ["3", "7"])
    monkeypatch.setattr(sweep, "default_streams", lambda: 1)
    long, short = tiny.replace(recipe=LONG), tiny.replace(limit=60)
    crt = short.replace(method="crt")
    diverges = tiny.replace(recipe="convergent[augmentation=shift1;epochs=2;lr=1e30]")
    lost = tiny.replace(dataset="cifar10")
    killed, devices = [], {}

    def kill() -> None:
        holder = places.runs_folder() / "locks" / f"{long.run_id}.holder"
        while not holder.exists():
            time.sleep(0.02)
        trainer = int(holder.read_text().split()[1])
        worker = int(Path(f"/proc/{trainer}/stat").read_text().rpartition(")")[2].split()[1])
        for process in (trainer, worker):
            environment = Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")
            devices[process] = next(line for line in environment if line.startswith("CUDA_VISIBLE_DEVICES="))
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)

    threading.Thread(target=kill, daemon=True).start()
    wanted = [long, short, crt, diverges, lost]
    found = sweep.run_all(wanted, cluster="local", resources={"GPU": 1}, show=False, strict=False)
    assert len(killed) == 1
    assert len(set(devices.values())) == 1
    assert set(devices.values()) <= {"CUDA_VISIBLE_DEVICES=3", "CUDA_VISIBLE_DEVICES=7"}
    assert {run.id for run in found} == {long.run_id, short.run_id, crt.run_id}
    assert found.failures.keys() == {diverges.run_id, lost.run_id}
    assert "cifar" in found.failures[lost.run_id]
    again = [line for line in log().splitlines() if "is tried again" in line]
    assert all(long.run_id in line for line in again), "errors are not tried again"
    assert runs.verify() == []


def test_where_no_folder_is_shared_runs_are_sent_back_and_a_first_stage_is_trained_once(
    scheduler: subprocess.Popen[bytes], tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_mark", lambda reports: "not what a worker reads there")
    short = tiny.replace(limit=60)
    wanted = [short, short.replace(method="crt"), short.replace(method="lws"), short.replace(seed=1)]
    found = sweep.run_all(wanted, cluster=scheduler.address, show=False)  # type: ignore[attr-defined]
    assert [run.id for run in found] == [experiment.run_id for experiment in wanted]
    assert all(run.folder is not None for run in found)
    assert runs.verify() == []
    shared = short.resolve().stage_id(0)
    own = [folder / "runs" for folder in scheduler.folders]  # type: ignore[attr-defined]
    assert sum((folder / "stages" / shared / "DONE").is_file() for folder in own) == 1
    assert sum((folder / experiment.run_id).is_dir() for folder in own for experiment in wanted) == len(wanted)


def test_what_would_wait_for_ever_or_be_another_run_is_refused(
    scheduler: subprocess.Popen[bytes], tiny: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = scheduler.address  # type: ignore[attr-defined]
    with pytest.raises(RunError, match="offers GPU=1, they offer nothing; start one with: dask worker"):
        sweep.run_all([tiny], cluster=address, resources={"GPU": 1}, show=False)
    with pytest.raises(SettingError, match="cluster must be tcp://HOST:PORT, local or slurm, not 'lokal'"):
        sweep.run_all([tiny], cluster="lokal", show=False)
    monkeypatch.setattr(addresses, "CONNECT", 1)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 "):
        sweep.run_all([tiny], cluster="tcp://127.0.0.1:1", show=False)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(SettingError, match="slurm needs dask-jobqueue"):
        sweep.run_all([tiny], cluster="slurm", show=False)
    asked = cluster.request

    def other(experiment: Experiment) -> dict[str, object]:
        return asked(experiment) | {"run": "0" * 12}

    with monkeypatch.context() as patch:
        patch.setattr(cluster, "request", other)
        with pytest.raises(RunError, match=f"would not train the same runs: the same settings are run {tiny.run_id}"):
            sweep.run_all([tiny], cluster=address, show=False)
    monkeypatch.setattr(ltlib, "__version__", "9.9")
    with pytest.raises(RunError, match=r"has ltlib 0\.1\.0, this is 9\.9; install the same"):
        sweep.run_all([tiny], cluster=address, show=False)


def test_a_scheduler_without_workers_is_said(dask: None, tiny: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = addresses.distributed().LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=":0")
    with empty:
        place = addresses.Place(empty.scheduler_address, wait=0.2)
        monkeypatch.setattr(addresses, "found", lambda *_: place)
        with pytest.raises(RunError, match="has no worker; start one for each GPU with: CUDA_VISIBLE_DEVICES=0 dask"):
            sweep.run_all([tiny], cluster=empty.scheduler_address, show=False)


def test_a_killed_scheduler_is_said_and_the_same_call_completes(
    scheduler: subprocess.Popen[bytes], tiny: Experiment
) -> None:
    """The last test with this scheduler."""
    wanted = [tiny.replace(recipe=LONG, seed=seed) for seed in range(3)]

    def kill() -> None:
        while not list((places.runs_folder() / "locks").glob("*.holder")):
            time.sleep(0.05)
        scheduler.kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(RunsFailed, match="is gone; what is finished is kept, start again") as caught:
        sweep.run_all(wanted, cluster=scheduler.address, show=False)  # type: ignore[attr-defined]
    assert len(caught.value.failures) + len(caught.value.runs) == 3
    found = sweep.run_all(wanted, jobs=2, show=False)
    assert len(found) == 3
    assert runs.verify() == []


def test_a_folder_is_known_again_by_its_mark(tmp_path: Path) -> None:
    home = {"reports": str(tmp_path), "mark": cluster._mark(tmp_path), "version": ""}
    assert remote.seen(home) == str(tmp_path)
    assert remote.seen(home | {"mark": "another"}) == ""
    assert remote.seen(home | {"reports": str(tmp_path / "elsewhere")}) == ""
    assert cluster._mark(tmp_path) == home["mark"]
