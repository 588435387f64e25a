"""The five documents' printed numbers as data: tables, figures, settings, class counts, and where the sources disagree.

Nothing is typed here: the CSV files beside this module were read from the documents' text, one row per printed number.
A blank cell is an empty text, a blank number is NaN. Every call returns a fresh DataFrame.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from ltlib.errors import UnknownName

if TYPE_CHECKING:
    import pandas as pd

#: What identifies a published cell.
KEY = ("table", "dataset", "imbalance", "train_set", "model", "method", "stage", "split", "metric")

TITLES = {
    "convergent": "project report: cross-entropy, focal and SupCon+CE on CIFAR-10, CIFAR-100 and a butterfly set",
    "architectures": "master's thesis: four networks by seven losses, balanced-trained and long-tailed-trained",
    "awabs": "thesis on calibration: AWABS with CutOut, CutMix and Cut-Thumbnail",
    "cefl": "article: the CEFL and CEFL2 losses",
    "loss_balance": "article (abstract, tables and captions only): loss balance inside a mini-batch",
}


def documents() -> list[str]:
    """Ids of the documents."""
    return list(TITLES)


def title(document: str) -> str:
    """What a document is, in one line."""
    return TITLES[_known(document)]


def tables(document: str) -> list[str]:
    """A document's result tables, in its own order and numbering."""
    return list(dict.fromkeys(row["table"] for row in _rows(_known(document))))


def table(document: str, table: str) -> pd.DataFrame:
    """The printed cells of one result table.

    Returns:
        The file's columns ``table, dataset, imbalance, train_set, model, method, stage, split, metric, value, unit,
        note`` as text, but ``imbalance`` and ``value`` as float64 (in ``unit``), and ``printed``: the value's digits
        as they stand in the document. `KEY` identifies a row, except the two ends of the range in `architectures` 5.3.

    Raises:
        UnknownName: No such document or table.
    """
    rows = _rows(_known(document))
    name = str(table)
    if name not in tables(document):
        raise UnknownName(f"table of {document}:", name, tables(document))
    return _results([row for row in rows if row["table"] == name])


def results(document: str) -> pd.DataFrame:
    """Every printed cell of a document, as in `table`."""
    return _results(_rows(_known(document)))


def figures(document: str) -> pd.DataFrame:
    """A document's figures: what each shows, the data it needs, its kind, the values the text gives.

    A figure that the text refers to but the document does not contain is named by its section, ``Section 4.2``.
    """
    frame = _of_document("figures", document)
    frame["figure"] = [_figure(row) for row in _rows("figures", document)]
    return frame


def protocols(document: str) -> pd.DataFrame:
    """A document's stated training settings; experiment ``all`` holds for every experiment of the document."""
    return _of_document("protocols", document)


def methods(document: str | None = None) -> pd.DataFrame:
    """Every method that a document describes, compares or names.

    Args:
        document: Only this document's; None for all.

    Returns:
        Columns ``document``, ``name`` (the document's), ``where`` (its sections and tables), ``id`` (ours, empty where
        it is not built), ``kind`` of the id (method, mixing, sampler, resampling, augmentation, posthoc), ``module``
        (under ``ltlib``, where its equation or code is), ``published`` (the ids in the document's result tables, a
        tuple) and ``note`` (why not built, or a remark).

    Raises:
        UnknownName: No such document.
    """
    frame = _frame(_rows("methods", None if document is None else _known(document)))
    frame["published"] = [tuple(text.split()) for text in frame["published"]]
    return frame


def datasets(document: str) -> pd.DataFrame:
    """Every class count and split size a document states."""
    return _of_document("datasets", document)


def field_counts() -> pd.DataFrame:
    """Class counts of iNaturalist 2017 (by super-category) and Places-LT (per class), as far as they are public."""
    frame = _frame(_rows("field_counts"))
    for column in ("categories", "train_images"):
        frame[column] = frame[column].map(lambda text: float(text) if text else float("nan"))
    return frame


def confusion(document: str, figure: str) -> pd.DataFrame:
    """A printed confusion matrix: index the actual class, columns the predicted class, int64.

    Raises:
        UnknownName: The document prints none under that figure (only `convergent` 19 and 28 are printed as text).
    """
    _known(document)
    names = [entry.name for entry in _data().iterdir() if entry.name.startswith(f"confusion_{document}_fig")]
    printed = {name.removesuffix(".csv").rpartition("_fig")[2]: name.removesuffix(".csv") for name in names}
    if str(figure) not in printed:
        raise UnknownName(f"printed confusion matrix of {document}: figure", figure, printed)
    frame = _frame(_rows(printed[str(figure)])).set_index("actual")
    return frame.astype("int64")


def inconsistencies(document: str, table: str | None = None, figure: str | None = None) -> pd.DataFrame:
    """Where a source contradicts itself, its code or arithmetic.

    Args:
        document: The document.
        table: Only what names this table. Together with `figure`: what names either.
        figure: Only what names this figure.

    Returns:
        Columns ``document``, ``number`` (int), ``tables`` and ``figures`` (tuples of names), ``text``.

    Raises:
        UnknownName: No such document, table or figure.
    """
    rows = [row for row in _rows("inconsistencies") if row["document"] == _known(document)]
    if table is not None and str(table) not in tables(document):
        raise UnknownName(f"table of {document}:", table, tables(document))
    if figure is not None and str(figure) not in (known := [_figure(row) for row in _rows("figures", document)]):
        raise UnknownName(f"figure of {document}:", figure, known)
    if table is not None or figure is not None:
        rows = [r for r in rows if str(table) in r["tables"].split() or str(figure) in _listed(r["figures"])]
    frame = _frame(rows, list(_rows("inconsistencies")[0]))
    frame["number"] = [int(row["number"]) for row in rows]
    frame["tables"] = [tuple(row["tables"].split()) for row in rows]
    frame["figures"] = [_listed(row["figures"]) for row in rows]
    return frame


def claims(document: str) -> pd.DataFrame:
    """What a document says of its results, sentence by sentence, in its order.

    Returns:
        Columns ``document``, ``name`` (a few words of ours), ``place`` (where it stands), ``text`` (as printed) and
        ``reading`` (how we read it where it is vague, else empty).

    Raises:
        UnknownName: No such document.
    """
    return _frame(_rows("claims", _known(document)), list(_rows("claims")[0]))


def elsewhere() -> pd.DataFrame:
    """Accuracies on long-tailed CIFAR that others published, with what is known of how they came about.

    Read in the repositories that ``source`` names, 2026-11-26 and 27; what is not said there is NaN or an empty text.

    Returns:
        Columns ``dataset``, ``imbalance_factor``, ``method``, ``accuracy`` (percent), ``spread`` (its standard
        deviation, as printed), ``ece`` (percent), ``runs``, ``epochs``, ``parameters`` (million), ``networks`` (whose
        outputs are averaged), ``views`` (of an image in a step), ``looks`` (at a batch in a step: 2 for sharpness-aware
        ones), ``augmentation``, ``selected`` (which epoch is reported) and ``source``; numbers are float64.
    """
    frame = _frame(_rows("field"))
    for name in frame.columns.difference(["dataset", "method", "augmentation", "selected", "source"]):
        frame[name] = [float(value or "nan") for value in frame[name]]
    return frame


def _figure(row: Mapping[str, str]) -> str:
    return f"Section {row['section']}" if row["figure"] == "(none)" else row["figure"]


def _listed(names: str) -> tuple[str, ...]:
    """Figures named in one field, where a name of two words is written with an underscore."""
    return tuple(name.replace("_", " ") for name in names.split())


def _known(document: str) -> str:
    if document not in TITLES:
        raise UnknownName("document", document, TITLES)
    return document


def _data():
    return resources.files("ltlib.published") / "data"


@cache
def _read(name: str) -> tuple[dict[str, str], ...]:
    text = (_data() / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines(keepends=True)))


def _rows(name: str, document: str | None = None) -> list[dict[str, str]]:
    return [row for row in _read(name) if document is None or row["document"] == document]


def _of_document(name: str, document: str) -> pd.DataFrame:
    return _frame(_rows(name, _known(document)))


def _frame(rows: list[dict[str, str]], columns: list[str] | None = None) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns or list(rows[0]), dtype=object)


def _results(rows: list[dict[str, str]]) -> pd.DataFrame:
    frame = _frame(rows)
    frame["printed"] = frame["value"]
    # float() gives the nearest double; a CSV reader's own parser may be off in the last bit.
    frame["value"] = [float(row["value"]) for row in rows]
    frame["imbalance"] = [float(row["imbalance"] or "nan") for row in rows]
    return frame
