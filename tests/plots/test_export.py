from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ltlib.errors import RunError
from ltlib.plots import bars, calibration, curves, distribution, export, matrices

HISTORY = {"train_accuracy": [0.2, 0.5, 0.7], "test_accuracy": [0.2, 0.4, 0.45], "test_loss": [2.0, 1.5, 1.6]}


def drawings() -> dict[str, Figure]:
    table = [{"model": "resnet18", "method": "ce", "published": 0.7, "reproduced": None}]
    bins = {"lower": [0, 0.5], "upper": [0.5, 1], "count": [1, 3], "confidence": [0.4, 0.8], "accuracy": [0.5, 0.6]}
    return {
        "curve": curves.accuracy_curve(HISTORY, selected=2, title="A < B & C"),
        "bars": bars.accuracy_bars(table),
        "matrix": matrices.confusion_matrix(np.eye(30) * 5),
        "reliability": calibration.reliability_diagram(bins),
        "counts": distribution.class_distribution([50, 20, 5], ["a", "b", "c"]),
    }


def test_two_saves_are_byte_identical(tmp_path: Path) -> None:
    fresh_ones = drawings()
    for name, fig in drawings().items():
        first = [p.read_bytes() for p in export.save(fig, tmp_path / "1" / name)]
        again = export.render(fig, "svg"), export.render(fig, "pdf")
        fresh = [p.read_bytes() for p in export.save(fresh_ones[name], tmp_path / "3" / name)]
        assert len(first) == 4
        assert first == fresh, name
        assert again == (export.render(fresh_ones[name], "svg"), first[1]), name


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "from ltlib.plots import curves, export; import sys;"
        f"export.save(curves.accuracy_curve({HISTORY!r}, selected=2, title='A < B & C'), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True)
    for path in export.save(drawings()["curve"], tmp_path / "here"):
        assert path.read_bytes() == (tmp_path / f"there{path.suffix}").read_bytes(), path.suffix


def test_files_and_data(tmp_path: Path) -> None:
    fig = drawings()["curve"]
    paths = export.save(fig, tmp_path / "fig-5.1")
    assert [p.name for p in paths] == ["fig-5.1.svg", "fig-5.1.pdf", "fig-5.1.png", "fig-5.1.csv"]
    assert pd.read_csv(paths[3])["test_accuracy"].tolist() == HISTORY["test_accuracy"]
    root = ElementTree.parse(paths[0]).getroot()
    assert root.attrib["aria-label"] == fig.alt  # type: ignore[attr-defined]
    assert b"A &lt; B &amp; C" in paths[0].read_bytes()  # text stays text
    plain = Figure()
    assert [p.suffix for p in export.save(plain, tmp_path / "plain")] == [".svg", ".pdf", ".png"]
    own = export.save(plain, tmp_path / "plain", data=pd.DataFrame({"x": [1]}))
    assert own[3].read_text() == "x\n1\n"


def test_png_has_twice_the_size_of_a_screen(tmp_path: Path) -> None:
    from PIL import Image

    fig = drawings()["curve"]
    with Image.open(export.save(fig, tmp_path / "f")[2]) as image:
        np.testing.assert_allclose(image.size, 200 * fig.get_size_inches(), atol=1)


def test_inline_svgs_do_not_meet() -> None:
    texts = [export.svg(fig) for fig in drawings().values()]
    ids = [set(re.findall(r'\sid="([^"]+)"', text)) for text in texts]
    for i, text in enumerate(texts):
        assert text.startswith("<svg")
        assert text.endswith("</svg>")
        ElementTree.fromstring(text)
        used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
        assert used
        assert used <= ids[i]  # every reference still finds its target
        for other in ids[i + 1 :]:
            assert not ids[i] & other
    assert export.svg(drawings()["bars"], prefix="mine").count('id="mine-') == len(ids[1])


def test_inline_svg_loads_nothing_and_names_itself() -> None:
    fig = drawings()["counts"]
    text = export.svg(fig, alt='5 "best" classes')
    assert 'aria-label="5 &quot;best&quot; classes"' in text
    assert "<metadata" not in text
    assert not re.search(r'(?:href|src)="http', text)
    assert fig._repr_svg_() == export.svg(fig)  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        export.save(Figure(), tmp_path / "file" / "fig")
