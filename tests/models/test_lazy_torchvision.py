"""Importing torchvision costs every kernel seconds: it waits until a network of its is made."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import ltlib
from ltlib import models
for name in models.names():
    models.spec(name).identity()
    models.pretrained.lines(name)
models.spec("vit_b_16[weights=imagenet21k]").identity()
ltlib.Experiment("digits", 20, "convnext_base[size=tiny]", "ce").resolve()
models.create("efficientnet_lite0[size=tiny]", 3)
models.create("resnet50v2[size=tiny]", 3)
before = "torchvision" in sys.modules
models.create("mobilenet_v2[size=tiny]", 3)
print(before, "torchvision" in sys.modules)
"""


def test_names_and_identities_do_not_import_it() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["False", "True"], done.stderr
