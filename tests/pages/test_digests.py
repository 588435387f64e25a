"""What the text of a notebook says and what its code means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltlib.pages import declared, digests
from notebooks import write_notebook

RAW = {"id": "convergent/cifar10", "title": "Three networks", "question": "Which loss is best?"}
CELLS = [("markdown", "## Why\n\nBecause."), ("code", 'page.table("convergent", "1")'), ("code", "x = 1  # one")]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "notebooks" / "convergent" / "cifar10.ipynb"
    write_notebook(path, RAW, CELLS)
    return path


def test_the_code_digest_sees_meaning_and_not_layout(notebook: Path):
    value = declared.read_notebook(notebook)
    code, text = digests.code_digest(value), digests.text_digest(value)
    value["cells"][5]["source"] = "# another comment\nx   =   1\n"
    assert digests.code_digest(value) == code
    assert digests.text_digest(value) != text
    value["cells"][5]["source"] = "x = 2"
    assert digests.code_digest(value) != code


def test_an_executed_copy_takes_new_text_and_keeps_its_outputs(notebook: Path):
    executed = declared.read_notebook(notebook)
    for number, cell in enumerate(c for c in executed["cells"] if c["cell_type"] == "code"):
        cell |= {
            "execution_count": number + 1,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": str(number)}],
        }
    injected = {
        "cell_type": "code",
        "id": "i",
        "metadata": {"tags": ["injected-parameters"]},
        "source": "",
        "outputs": [],
    }
    executed["cells"].insert(2, injected | {"execution_count": 9})
    source = declared.read_notebook(notebook)
    source["cells"][3]["source"] = "## Why not"
    merged = digests.with_text(executed, source)
    assert [cell["id"] for cell in merged["cells"]][:3] == ["question", "parameters", "i"]
    assert merged["cells"][4]["source"] == "## Why not"
    assert merged["cells"][-1]["outputs"][0]["text"] == "4"


def test_threads_parse_one_after_another(monkeypatch):
    import ast
    import threading
    import time
    from concurrent.futures import ThreadPoolExecutor

    parse, inside, most = ast.parse, [0], [0]
    count = threading.Lock()

    def slowly(*args, **kwargs) -> ast.Module:
        with count:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        with count:
            inside[0] -= 1
        return parse(*args, **kwargs)

    monkeypatch.setattr(ast, "parse", slowly)
    notebook = {"cells": [{"cell_type": "code", "source": "x = 1"}]}
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda _: digests.code_digest(notebook), range(8)))) == 1
    assert most == [1]


def test_another_picture_under_one_name_is_another_text(notebook: Path):
    value = declared.read_notebook(notebook)
    plain = digests.text_digest(value)
    seen = {plain}
    for data in ("QUFB", "QkJC"):
        value["cells"][-1]["attachments"] = {"a.png": {"image/png": data}}
        seen.add(digests.text_digest(value))
    assert len(seen) == 3
    value["cells"][-1]["attachments"] = {}
    assert digests.text_digest(value) == plain
