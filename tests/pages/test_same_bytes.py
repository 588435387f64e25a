"""Tables, figures and cards made twice from the same runs are the same bytes, whatever the hour or a set's order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ltlib import places

MAKES = """
import sys
sys.path[:0] = sys.argv[2:]
from ltlib import places
from ltlib.pages import declared
from notebooks import run_cell
path = places.notebooks_folder() / f"{sys.argv[1]}.ipynb"
names = {}
for cell in declared.read_notebook(path)["cells"]:
    if cell["cell_type"] == "code":
        tagged = "parameters" in cell["metadata"].get("tags", ())
        run_cell("profile = 'laptop'" if tagged else cell["source"], f"{path.stem} {cell['id']}", names)
"""
PAGE = "awabs/comparison"


def made(reports: Path, seed: str, zone: str) -> dict[str, bytes]:
    """Every file that a page makes from the committed records, in a process of its own."""
    top = places.checkout()
    assert top is not None
    shutil.copytree(top / "reports" / "laptop" / "records", reports / "laptop" / "records")
    env = os.environ | {"LTLIB_REPORTS": str(reports), "PYTHONHASHSEED": seed, "LTLIB_TRAIN": "0", "TZ": zone}
    env |= {"LTLIB_PAGE_FOLDER": str(reports / "laptop" / PAGE.partition("/")[0]), "MPLBACKEND": "agg"}
    env |= {"LTLIB_SENTINEL": str(reports / "sentinel.json")}
    command = [sys.executable, "-c", MAKES, PAGE, str(top), str(top / "tests")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    files = (path for path in sorted(reports.rglob("*")) if path.is_file() and "records" not in path.parts)
    return {str(path.relative_to(reports)): path.read_bytes() for path in files}


def test_a_page_made_twice_is_the_same(tmp_path: Path) -> None:
    one = made(tmp_path / "reports", "1", "UTC")
    (tmp_path / "reports").rename(tmp_path / "before")
    two = made(tmp_path / "reports", "2", "Asia/Tokyo")
    assert {Path(name).suffix for name in one} >= {".csv", ".svg", ".html", ".json"}
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
