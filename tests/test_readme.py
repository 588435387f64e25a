"""What the README shows runs as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
TEXT = (TOP / "README.md").read_text(encoding="utf-8")


def said(script: Path) -> dict[str, Any]:
    """What a script prints last, in a process of its own: what it registers would be there for every other test."""
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=script.parent, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def block(heading: str) -> str:
    """The first Python block under a heading."""
    found = re.search(rf"^#+ {re.escape(heading)}$.*?^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no Python block under {heading!r}"
    return found[1]


def test_your_own_loss_runs_as_written(tmp_path):
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
    told = said(script)
    assert (told["method"], told["epochs"], told["same"]) == ("count_power[power=0.5]", 12, True)
    assert told["accuracy"] > 0.25  # of ten digits; after 12 epochs it still swings
    assert abs(told["pair"][0] - told["pair"][1]) < 1e-6  # at power 1 it is weighted cross-entropy
    assert not list(TOP.glob("reports/**/count_power*"))


def test_its_loss_made_a_constant_is_trained_again(tmp_path):
    """The case that gave the first result without a word."""
    text = block("Your own loss in ten lines").replace("epochs=12", "epochs=1")
    print_it = "import json\nprint(json.dumps({'id': run.id, 'loss': run.history['train_loss'].iloc[0]}))\n"
    told = []
    for number, source in enumerate((text, text.replace("return each *", "return 0 * each *"))):
        script = tmp_path / f"own {number}.py"
        script.write_text(source + print_it, encoding="utf-8")
        told.append(said(script))
    assert told[0]["id"] != told[1]["id"]
    assert told[1]["loss"] == 0 < told[0]["loss"]


def test_your_own_sampler_and_stages_run_as_written(tmp_path):
    script = tmp_path / "own.py"
    check = """
import json
targets = torch.tensor([0] * 50 + [1] * 10 + [2] * 2)
orders = {
    name: SAMPLERS.create(name)(targets, 1, 1, torch.Generator().manual_seed(0)).tolist()
    for name in ("power[power=0.0]", "class_balanced", "power", "square_root")
}
print(json.dumps({"stages": run.history["stage"].tolist(), "orders": orders, "own": run.own}))
"""
    script.write_text(block("Your own sampler and stages") + check, encoding="utf-8")
    told = said(script)
    assert told["stages"] == [1] * 12 + [2] * 3
    assert told["own"] == ["method two_steps", "sampler power"]
    assert told["orders"]["power[power=0.0]"] == told["orders"]["class_balanced"]
    assert told["orders"]["power"] == told["orders"]["square_root"] != told["orders"]["class_balanced"]


def test_the_notebook_builds_the_same_loss():
    notebook = json.loads((TOP / "notebooks" / "02_losses.ipynb").read_text(encoding="utf-8"))
    cells = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    for part in block("Your own loss in ten lines").split("\n\n\n")[1:3]:
        assert part.strip() in cells
