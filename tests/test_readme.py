"""What the README shows runs as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
TEXT = (TOP / "README.md").read_text(encoding="utf-8")


def block(heading: str) -> str:
    """The first Python block under a heading."""
    found = re.search(rf"^#+ {re.escape(heading)}$.*?^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no Python block under {heading!r}"
    return found[1]


def test_your_own_loss_runs_as_written(tmp_path):
    """In a process of its own: a registered loss would be there for every other test."""
    script = tmp_path / "own.py"
    check = """
import json
late = losses.create("count_power[power=1.0]", [50, 5]), losses.create("weighted_ce[reduction=batch_size]", [50, 5])
z, y = torch.randn(8, 2), torch.tensor([0, 1] * 4)
print(json.dumps({
    "accuracy": run.metrics["last"]["accuracy"], "epochs": len(run.history), "method": run.experiment.method,
    "pair": [float(loss(z, y)) for loss in late], "same": ltlib.run(exp).id == run.id,
}))
"""
    script.write_text(block("Your own loss in ten lines") + check, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["method"], said["epochs"], said["same"]) == ("count_power[power=0.5]", 12, True)
    assert said["accuracy"] > 0.25  # of ten digits; after 12 epochs it still swings
    assert abs(said["pair"][0] - said["pair"][1]) < 1e-6  # at power 1 it is weighted cross-entropy
    assert not list(TOP.glob("reports/**/count_power*"))


def test_the_notebook_builds_the_same_loss():
    notebook = json.loads((TOP / "notebooks" / "02_losses.ipynb").read_text(encoding="utf-8"))
    cells = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    for part in block("Your own loss in ten lines").split("\n\n\n")[1:3]:
        assert part.strip() in cells
