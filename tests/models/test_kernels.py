"""When the kernels run and what is said about it; their numbers are in `interpreted_kernels`, run from here."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from ltlib import models
from ltlib.errors import SettingError
from ltlib.models import kernels

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_found", {})
    monkeypatch.setattr(kernels, "_ready", {})
    monkeypatch.delenv("LTLIB_KERNELS", raising=False)


@needs_triton
@pytest.mark.parametrize("which", ["float64", "not float64"])
def test_their_numbers_through_tritons_interpreter(which: str) -> None:
    """In a process of its own: it must be told before triton is imported."""
    file = Path(__file__).with_name("interpreted_kernels.py")
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-rs", "-k", which, str(file)]
    ended = subprocess.run(
        command, env=os.environ | {"TRITON_INTERPRET": "1"}, cwd=file.parents[2], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout[-4000:]
    assert "passed" in ended.stdout
    assert "skipped" not in ended.stdout


def test_they_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_checked", lambda device: "some kernels")
    kernels.prepare(CUDA)
    assert kernels._ready == {}
    monkeypatch.setenv("LTLIB_KERNELS", "auto")
    kernels.prepare(CPU)
    assert kernels._ready == {}
    kernels.prepare(CUDA)
    assert kernels._ready == {"cuda:0": "some kernels"}
    monkeypatch.setenv("LTLIB_KERNELS", "off")
    kernels.prepare(CUDA)
    assert kernels._ready == {}
    monkeypatch.setenv("LTLIB_KERNELS", "on")
    with pytest.raises(SettingError, match="off or auto, not 'on'"):
        kernels.prepare(CPU)


@pytest.mark.parametrize("missing", [True, False])
def test_a_device_without_them_stays_with_torch_and_is_warned_of_once(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no triton, and where a check fails."""
    monkeypatch.setenv("LTLIB_KERNELS", "auto")
    if missing:
        monkeypatch.setitem(sys.modules, "triton", None)
    else:
        pytest.importorskip("triton")
        from ltlib.models.kernels import check

        monkeypatch.setattr(check, "trouble", lambda device: "the convolution differs")
    with pytest.warns(
        UserWarning, match="stay with torch's kernels: " + (".*triton" if missing else "the convolution")
    ):
        kernels.prepare(CUDA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels.prepare(CUDA)
    assert kernels._ready == {}
    assert not kernels.serve(torch.zeros(1, 16, 4, 4, dtype=torch.bfloat16), [])


def test_provenance_names_them_where_they_were_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = models.create("resnet8", 10).backbone, models.create("resnet18", 10).backbone
    assert kernels.facts(ours, "bf16", CUDA) == {}
    monkeypatch.setenv("LTLIB_KERNELS", "auto")
    monkeypatch.setattr(kernels, "_checked", lambda device: "some kernels")
    kernels.prepare(CUDA)
    assert kernels.facts(ours, "bf16", CUDA) == {"kernels": "some kernels"}
    assert kernels.facts(ours, "float32", CUDA) == kernels.facts(other, "bf16", CUDA) == {}
    assert kernels.facts(ours, "bf16", CPU) == {}


def test_a_network_is_made_without_triton() -> None:
    """It costs a second, and is not there on every platform."""
    program = "import sys; sys.modules['triton'] = None; from ltlib import models; models.create('resnet8', 10)"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
