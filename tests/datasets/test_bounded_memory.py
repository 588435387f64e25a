"""A folder ten times larger than the memory it may take: decoded, loaded, and trained on in batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SIZE, IMAGES = 224, 840
BOUND = 12 * 2**20
"""Bytes; the folder's pixels take ten times as many."""

CODE = """
import json, sys, threading, time
from pathlib import Path

import numpy as np, torch
import ltlib
from ltlib.datasets import mapped
from ltlib.training import residents

mapped.HELD = 2**20

def anonymous():  # pages of mapped files, which the kernel takes back when it likes, are not counted
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

peak = 0
def watch():
    global peak
    while not over.wait(0.001):
        peak = max(peak, anonymous())

def walk(folder, size):
    name = f"folder:{folder}@{size}"
    recipe = "convergent[augmentation=none]"
    resolved = ltlib.Experiment(name, 1, "resnet8", "ce", recipe, validation="subset").resolve()
    data = ltlib.datasets.load(name, validation="subset")
    images = residents.load(data, resolved, torch.device("cpu"))
    seen = 0
    for first in range(0, len(images.train), 2):
        index = torch.arange(first, min(first + 2, len(images.train)))
        seen += images.train.batch(index).shape[0]
    return data, images, seen

small, large, kind = sys.argv[1:4]
walk(small, 8)  # imports, threads, pools
over = threading.Event()
threading.Thread(target=watch, daemon=True).start()
before = anonymous()
data, images, seen = walk(large, int(sys.argv[4]))
if kind == "whole":
    held = np.asarray(data.train.images)
    time.sleep(0.01)
over.set()
print(json.dumps({"grown": peak - before, "seen": seen, "train": len(data.train), "streaming": images.train.streaming,
                  "bytes": data.train.images.nbytes + data.test.images.nbytes + data.validation.images.nbytes}))
"""


def write(folder: Path, count: int) -> Path:
    for name in "ab":
        (folder / name).mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (32, 32), (i % 256, i // 256, 0)).save(folder / "ab"[i % 2] / f"{i}.png")
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what memory a process has")
def test_memory_does_not_grow_with_the_folder(tmp_path: Path) -> None:
    """The second process, which holds all pixels once, shows that the first would be caught."""
    small, large = write(tmp_path / "small", 20), write(tmp_path / "large", IMAGES)
    environment = os.environ | {"LTLIB_MEMORY": "1MiB", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    found = {}
    for kind in ("bounded", "whole"):
        command = [sys.executable, "-c", CODE, str(small), str(large), kind, str(SIZE)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        found[kind] = json.loads(done.stdout.splitlines()[-1])
    assert found["bounded"]["bytes"] == IMAGES * SIZE * SIZE * 3 > 10 * BOUND
    assert found["bounded"]["streaming"]
    assert found["bounded"]["seen"] == found["bounded"]["train"] > 0.7 * IMAGES
    assert found["bounded"]["grown"] < BOUND
    assert found["whole"]["grown"] > 5 * BOUND
