from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ltlib.errors import RunError
from ltlib.plots import bars, calibration, curves, distribution, embedding, export, losses, matrices, palette

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


OWN = {
    "text.usetex": True,
    "savefig.transparent": True,
    "savefig.bbox": "tight",
    "xtick.direction": "in",
    "xtick.top": True,
    "lines.marker": "o",
    "axes.formatter.limits": (-1, 1),
    "axes.unicode_minus": False,
    "legend.shadow": True,
    "path.simplify": False,
    "figure.constrained_layout.h_pad": 0.5,
    "svg.image_inline": False,
    "pdf.compression": 0,
    "font.family": ["monospace"],
}
"""What a reader's own matplotlibrc may say, authors' LaTeX among it."""


def test_a_readers_own_settings_change_no_byte() -> None:
    forms = ("svg", "pdf", "png")
    expected = [export.render(drawings()["counts"], form) for form in forms]
    with matplotlib.rc_context(OWN):
        got = [export.render(drawings()["counts"], form) for form in forms]
    assert got == expected


def test_a_figure_drawn_by_hand_has_the_workbooks_look_whatever_the_readers_is() -> None:
    def by_hand() -> bytes:
        palette.use_style()
        fig = Figure(figsize=(3, 2))
        fig.add_subplot().plot([1, 2], label=r"$\gamma$")
        fig.axes[0].legend()
        return export.render(fig, "svg")

    with matplotlib.rc_context():
        expected = by_hand()
    with matplotlib.rc_context(OWN):
        assert by_hand() == expected
    assert b">$" not in expected  # there what stands between dollars is mathematics


NAMES = ["price $5-$10", r"$\frac{$", "=1+1", r"a\$b", "100%_^{x}", "@cmd", "naïve – ü"]
ODD = ["bell\x07", "tab\x0b", "nul\x00", "half \udcff", "end \uffff"]


def named(names: list[str]) -> dict[str, Figure]:
    """Figures with these class or method names at axes, in legends, in cells, at points."""
    many = len(names)
    points = np.arange(2.0 * many).reshape(many, 2)
    return {
        "counts": distribution.class_distribution(list(range(many, 0, -1)), names),
        "tails": distribution.count_curves({name: [30, 20, 10 + i] for i, name in enumerate(names)}),
        "matrix": matrices.confusion_matrix(np.eye(many) * 5, names),
        "map": embedding.scatter(points, np.arange(many), names),
        "curve": curves.accuracy_curve(HISTORY, title=names[0]),
    }


def texts(svg: bytes) -> list[str]:
    """The texts of a drawing; lines of one text are texts of their own."""
    return [text.text or "" for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_names_are_drawn_as_they_are_written() -> None:
    for kind, fig in named(NAMES).items():
        found = texts(export.render(fig, "svg"))
        for name in NAMES if kind != "curve" else NAMES[:1]:
            assert any(name in text for text in found), (kind, name)
    assert export.render(named(NAMES)["matrix"], "pdf")
    assert export.render(named(NAMES)["matrix"], "png")


@pytest.mark.filterwarnings("ignore:Glyph")
def test_characters_that_xml_cannot_hold_are_replaced(tmp_path: Path) -> None:
    for kind, fig in named(ODD).items():
        assert "bell\N{REPLACEMENT CHARACTER}" in " ".join(texts(export.render(fig, "svg"))), kind
        ElementTree.fromstring(export.svg(fig))
    assert len(export.save(named(ODD)["counts"], tmp_path / "counts")) == 4


def test_logarithmic_axes_have_plain_numbers() -> None:
    few = distribution.count_curves({"a": [300, 250, 200]})  # within one power of ten: labels between the powers
    many = distribution.count_curves({"a": [5000, 50, 5]})
    weights = losses.weight_over_counts({"ce": [1, 1, 1], "focal": [0.01, 0.1, 1.0]}, [1000, 100, 10])
    for fig, wanted in ((few, "300"), (many, "1,000"), (weights, "0.01")):
        found = texts(export.render(fig, "svg"))
        assert wanted in found
        assert not any("$" in text for text in found)


def test_no_cell_of_a_figures_numbers_is_a_formula(tmp_path: Path) -> None:
    names = ["=1+1", " +x", "@y", "-z", "-1.5", "plain"]
    frame = pd.DataFrame({"=name": names, "value": [-1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    path = export.save(drawings()["bars"], tmp_path / "x", frame)[-1]
    assert path.read_text().splitlines() == [
        "'=name,value",
        "'=1+1,-1.0",
        "' +x,2.0",
        "'@y,3.0",
        "'-z,4.0",
        "-1.5,5.0",
        "plain,6.0",
    ]


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
