"""The published numbers arrive as they were read: counts, bits, names and nearest names."""

from __future__ import annotations

import csv
import math
import struct
import subprocess
import sys
from importlib import resources

import pytest

from ltlib import published
from ltlib.errors import UnknownName

ROWS = {"convergent": 108, "architectures": 1405, "awabs": 324, "cefl": 471, "loss_balance": 140}
ROWS_PER_TABLE = {
    "convergent": dict.fromkeys("123456789", 12),
    "architectures": {
        **{f"5.{i}": 35 for i in range(1, 11)},
        "5.3": 3,
        "5.8": 2,
        **{f"A.{i}": 35 if i % 2 else 105 for i in range(1, 17)},
    },
    "awabs": {"4.1": 18, "4.2": 18, "4.3": 49, "4.4": 49, "4.5": 49, "4.6": 48, "4.7": 69, "4.8": 24},
    "cefl": {"2": 120, "3": 120, "4": 111, "5": 120},
    "loss_balance": {"1": 32, "2": 108},
}
INCONSISTENCIES = {"convergent": 19, "architectures": 13, "awabs": 23, "cefl": 10, "loss_balance": 4}


def raw(name):
    text = (resources.files("ltlib.published") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_documents():
    assert published.documents() == list(ROWS)
    assert all(published.title(document) for document in ROWS)


@pytest.mark.parametrize("document", ROWS)
def test_rows_per_table(document):
    found = {table: len(published.table(document, table)) for table in published.tables(document)}
    assert found == ROWS_PER_TABLE[document]
    assert sum(found.values()) == ROWS[document] == len(published.results(document))


@pytest.mark.parametrize("document", ROWS)
def test_every_column_equals_the_file_to_the_bit(document):
    rows, frame = raw(document), published.results(document)
    assert frame.columns.tolist() == [*rows[0], "printed"]
    for column in rows[0]:
        for text, value in zip((row[column] for row in rows), frame[column], strict=True):
            if column == "value" or (column == "imbalance" and text):
                assert struct.pack("d", value) == struct.pack("d", float(text))
            elif column == "imbalance":
                assert math.isnan(value)
            else:
                assert value == text
    assert frame["printed"].tolist() == [row["value"] for row in rows]


def test_the_key_identifies_a_row_but_for_the_printed_range():
    for document in ROWS:
        frame = published.results(document)
        twice = frame[frame.duplicated(list(published.KEY), keep=False)]
        assert twice["printed"].tolist() == (["86.2", "86.9"] if document == "architectures" else [])


def test_the_other_files():
    assert sum(len(published.datasets(document)) for document in ROWS) == 127
    assert sum(len(published.protocols(document)) for document in ROWS) == 230
    assert sum(len(published.figures(document)) for document in ROWS) == 105
    assert len(published.field_counts()) == 378
    assert published.field_counts()["train_images"].notna().all()
    assert published.figures("convergent")["figure"].is_unique


def test_printed_confusion_matrices():
    for figure in (19, "28"):
        matrix = published.confusion("convergent", figure)
        assert matrix.shape == (10, 10)
        assert matrix.index.tolist() == matrix.columns.tolist()
        assert matrix.sum(axis=1).tolist() == [1000] * 10
    assert published.confusion("convergent", 19).loc["cat", "dog"] == 340
    with pytest.raises(UnknownName, match="known: 19, 28"):
        published.confusion("convergent", "7")
    with pytest.raises(UnknownName, match="none is known"):
        published.confusion("cefl", "11")


@pytest.mark.parametrize("document", INCONSISTENCIES)
def test_inconsistencies_are_numbered_and_name_known_tables_and_figures(document):
    frame = published.inconsistencies(document)
    assert frame["number"].tolist() == list(range(1, INCONSISTENCIES[document] + 1))
    figures = set(published.figures(document)["figure"])
    for tables, named in zip(frame["tables"], frame["figures"], strict=True):
        assert set(tables) <= set(published.tables(document))
        assert set(named) <= figures
    assert frame["text"].str.len().min() > 30


def test_inconsistencies_of_a_table_or_figure():
    assert published.inconsistencies("convergent", table="6")["number"].tolist() == [1, 11]
    assert published.inconsistencies("convergent", figure="31")["number"].tolist() == [5]
    assert published.inconsistencies("convergent", table=6, figure=31)["number"].tolist() == [1, 5, 11]
    assert published.inconsistencies("awabs", table="4.4")["number"].tolist() == [1, 2, 4, 13, 14]
    assert published.inconsistencies("architectures", table="A.13")["text"].empty
    with pytest.raises(UnknownName, match="figure of convergent"):
        published.inconsistencies("convergent", figure="999")


@pytest.mark.parametrize(
    ("document", "count"), [("awabs", 30), ("convergent", 29), ("cefl", 18), ("loss_balance", 5), ("architectures", 0)]
)
def test_claims_have_a_name_of_their_own_a_place_and_a_sentence(document, count):
    frame = published.claims(document)
    assert len(frame) == count
    assert frame["name"].is_unique
    assert set(frame["document"]) <= {document}
    assert frame["place"].str.match(r"section [\dIV]|chapter \d|abstract$|Table \d").all()
    assert frame["text"].str.len().min() > 20 if count else frame.columns.tolist()[-2:] == ["text", "reading"]


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownName, match="did you mean convergent"):
        published.table("convergant", "1")
    with pytest.raises(UnknownName, match=r"5\.1"):
        published.table("architectures", "5.11")
    for call in (published.tables, published.figures, published.protocols, published.datasets, published.title):
        with pytest.raises(UnknownName, match="unknown document"):
            call("thesis")


def test_a_caller_cannot_change_the_data():
    frame = published.table("cefl", "2")
    frame["value"] = 0.0
    assert published.table("cefl", "2")["value"].min() > 1


def test_importing_does_not_import_pandas():
    code = "import sys, ltlib.published; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
