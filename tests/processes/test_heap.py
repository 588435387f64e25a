"""Freed memory is kept: page faults of tensors that come and go, counted in processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from ltlib.processes import heap

FAULTS = """
import resource, sys
import torch
from ltlib import models
from ltlib.processes import heap
print(heap.keep() if sys.argv[1] == "kept" else False)
torch.set_num_threads(1)
network = models.create("resnet8", 10).to(memory_format=torch.channels_last)
images = torch.randn(128, 3, 32, 32).to(memory_format=torch.channels_last)

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for step in range(6):
    if step == 3:
        before = faults()
    network(images).sum().backward()
print(faults() - before)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def measured(how: str, **environment: str) -> tuple[bool, int]:
    clean = {name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], env=clean | environment, capture_output=True, text=True, check=True
    )
    said, count = done.stdout.split()
    return said == "True", int(count)


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
def test_a_steps_activations_fault_once():
    kept, few = measured("kept")
    _, many = measured("as it is")
    assert kept
    assert few < many / 3


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
@pytest.mark.parametrize(
    "variable",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}],
)
def test_who_has_set_glibcs_variables_decides(variable: dict[str, str]):
    assert not measured("kept", **variable)[0]


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not heap.keep()


def test_without_mallopt_nothing_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda name: object())
    assert not heap.keep()
