"""The device: which it is, what it is told, and how much of its memory images may take."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from ltlib import places, plugins
from ltlib.errors import SettingError
from ltlib.experiment import Experiment
from ltlib.models import kernels
from ltlib.pages.page import Page
from ltlib.runs import packing, sweep
from ltlib.training import accelerator, capture


@pytest.mark.parametrize(
    ("text", "count", "device"),
    [("", 0, "cpu"), (" ", 0, "cpu"), ("", 1, "cuda"), ("cpu", 1, "cpu"), (" cpu ", 0, "cpu"), ("cuda", 1, "cuda"),
     ("cuda:1", 2, "cuda:1")],
)  # fmt: skip
def test_device_is_named_by_the_environment(
    text: str, count: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("LTLIB_DEVICE", text)
    assert accelerator.device() == torch.device(device)


@pytest.mark.parametrize(
    ("text", "count", "sentence"),
    [
        *((text, 1, "must be cpu, cuda or cuda:N, not") for text in ("gpu", "CPU", "mps", "meta", "cuda:", "cuda:x")),
        *((text, 1, "must be cpu, cuda or cuda:N, not") for text in ("cuda:-1", "cuda:01", "0", "cpu:0", "cuda 0")),
        ("cuda", 0, "LTLIB_DEVICE is cuda, but no CUDA device is here"),
        ("cuda:1", 1, "LTLIB_DEVICE is cuda:1, but 1 CUDA device is here"),
        ("cuda:2", 2, "LTLIB_DEVICE is cuda:2, but 2 CUDA devices are here"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    text: str, count: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("LTLIB_DEVICE", text)
    with pytest.raises(SettingError, match=sentence):
        accelerator.device()


def test_run_all_says_it_before_any_process_starts(monkeypatch: pytest.MonkeyPatch, tiny: Experiment) -> None:
    monkeypatch.setenv("LTLIB_DEVICE", "gpu")
    with pytest.raises(SettingError, match="LTLIB_DEVICE"):
        sweep.run_all([tiny], jobs=1, streams=1, show=False)


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_variables_count_as_not_set(blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them, wherever it is read."""
    read = {
        "LTLIB_REPORTS": places.reports_folder,
        "LTLIB_DATA": places.data_folder,
        "LTLIB_DEVICE": accelerator.device,
        "LTLIB_STREAMS": lambda: packing.default_streams(torch.device("cpu")),
        "LTLIB_MEMORY": lambda: accelerator.memory_budget(torch.device("cuda")),
        "LTLIB_CAPTURE": lambda: type(capture.captured(None, torch.device("cpu"))),  # type: ignore[arg-type]
        "LTLIB_KERNELS": lambda: kernels.prepare(torch.device("cpu")),
        "LTLIB_TRAIN": lambda: Page(SimpleNamespace(), "paper")._trains,  # type: ignore[arg-type]
        "LTLIB_PLUGINS": plugins.named,
    }
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 * 2**30, 80 * 2**30))
    for name in read:
        monkeypatch.delenv(name, raising=False)
    unset = {name: call() for name, call in read.items()}
    for name in read:
        monkeypatch.setenv(name, blank)
    assert {name: call() for name, call in read.items()} == unset


@pytest.mark.parametrize(
    ("text", "count"),
    [("800MiB", 800 * 2**20), ("2GiB", 2**31), ("1.5 GB", 1_500_000_000), ("4096", 4096), ("0", 0), ("3kib", 3072)],
)
def test_amounts_of_memory(text, count, monkeypatch):
    assert accelerator.read_bytes(text) == count
    monkeypatch.setenv("LTLIB_MEMORY", text)
    assert accelerator.memory_budget(torch.device("cpu")) == count


@pytest.mark.parametrize("text", ["much", "-1", "2 apples", "1e9", "GiB"])
def test_bad_amounts_are_refused(text):
    with pytest.raises(SettingError, match="LTLIB_MEMORY must be an amount"):
        accelerator.read_bytes(text)


def test_without_a_wish_half_of_what_is_free(monkeypatch):
    monkeypatch.delenv("LTLIB_MEMORY", raising=False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (8 * 2**30, 80 * 2**30))
    assert accelerator.memory_budget(torch.device("cuda")) == 4 * 2**30
    here = accelerator.memory_budget(torch.device("cpu"))
    assert 2**24 < here < 2**44


def test_sets_are_kept_in_order_while_the_budget_lasts(monkeypatch):
    def plan(budget, **needed):
        monkeypatch.setenv("LTLIB_MEMORY", budget)
        return accelerator.plan_memory(needed, torch.device("cpu"))

    assert plan("1GiB", train=100, test=50) == ({"train", "test"}, "")
    kept, note = plan("1GiB", train=300 * 2**20, test=50)
    assert kept == {"train", "test"}
    assert "take 300 MiB of memory on cpu (budget 1.0 GiB" in note
    assert "streamed" not in note
    kept, note = plan("120", train=100, test=50, validation=10)
    assert kept == {"train", "validation"}
    assert note.endswith("streamed from the host instead, which is slower: test")
    assert plan("0", train=1, test=1)[0] == set()


def test_a_gpu_is_told_to_compute_in_float32(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # put back afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, matmul.fp32_precision
    try:
        cudnn.benchmark = True
        accelerator.prepare(torch.device("cpu"))
        assert cudnn.benchmark, "a training on the CPU changes nothing"
        accelerator.prepare(torch.device("cuda"))
        accelerator.prepare(torch.device("cuda"))
        found = cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, matmul.fp32_precision
        assert found == (False, True, "ieee", "ieee")
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        cudnn.benchmark, cudnn.deterministic, cudnn.conv.fp32_precision, matmul.fp32_precision = before
