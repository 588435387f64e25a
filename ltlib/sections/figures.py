"""A document's figures of single runs, as ``published/figures.csv`` lists them: curves, confusion matrices.

Its rows say what a figure shows, of which run, and what the text reads from it; the figures are drawn from ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import grids, metrics, published
from ltlib.errors import UnknownName
from ltlib.labels import label
from ltlib.registry import parse
from ltlib.sections.study import named
from ltlib.sections.words import listed

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.plots import Chart
    from ltlib.runs import Run
    from ltlib.sections.study import Study

KINDS = {"accuracy_curve": "Accuracy by epoch", "loss_curve": "Loss by epoch", "confusion_matrix": "Confusion matrix"}
"""What can be drawn of a single run."""
RULES = {
    "best_test_loss": "lowest test loss",
    "best_test_objective": "lowest sum of both test losses",
    "best_test_accuracy": "best test accuracy",
    "last": "last epoch",
}
"""How an epoch was selected."""


def of(document: str, **where: str) -> pd.DataFrame:
    """The figures of a document's single runs with these values, as ``dataset="cifar10", model="resnet18"``."""
    rows = published.figures(document)
    rows = rows[rows["kind"].isin(KINDS)]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows


def show(page: Page, rows: pd.DataFrame, first: Mapping[str, Run], grid: str) -> None:
    """Draw figures of `of` from the runs of each method.

    What was not run shares one box with its reason and the command; matrices that the document prints in full are
    shown in any case.

    Args:
        page: The page.
        rows: The figures.
        first: A run of each method.
        grid: The grid that the runs are of.
    """
    left = []
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        run, printed = first.get(row["method"]), _printed(row)
        if printed is not None:
            _beside_print(page, row, printed, run, grid)
        elif run is None:
            left.append(f"figure {row['figure']}")
        else:
            page.figure(row["figure"], _chart(row, run), caption=_caption(row), runs=[run])
    if left:
        page.missing(left, *_why(page, grid))


def _printed(row: Mapping[str, Any]) -> pd.DataFrame | None:
    try:
        return published.confusion(row["document"], row["figure"])
    except UnknownName:
        return None


def _why(page: Page, grid: str) -> tuple[str, str]:
    """Why a grid's figures are not here, and the command that makes them."""
    document, _, word = grid.partition("/")
    impossible = grids.experiments(grid, page.profile)[1]
    if impossible:
        return f"{next(iter(impossible.values())).reason}.", grids.command(document, word)
    return "their runs are not there.", grids.command(document, word, page.profile)


def _chart(row: Mapping[str, Any], run: Run) -> Chart:
    from ltlib.plots import curves, matrices

    made = run.experiment
    title = f"{label(row['method'])}: {label(made.model)} on {label(made.dataset)}"
    if row["kind"] == "confusion_matrix":
        return matrices.confusion_matrix(confusion(run), run.class_names, title=title)
    draw = curves.accuracy_curve if row["kind"] == "accuracy_curve" else curves.loss_curve
    chosen = {"selected": run.metrics["selected"]["epoch"], "selected_as": RULES.get(run.selection, run.selection)}
    return draw(run.history, **chosen, readings=row["text_readings"], title=title)


def confusion(run: Run) -> Any:
    """Counts [actual, predicted] of a run's test images at the selected epoch."""
    said = run.predictions["selected"]
    return metrics.confusion_matrix(said.targets, said.predicted, len(run.class_names))


def _caption(row: Mapping[str, Any]) -> str:
    text = f"{KINDS[row['kind']]}; in the document {', '.join(label(row[k]) for k in ('model', 'method', 'dataset'))}."
    if row["kind"] == "confusion_matrix" and row["text_readings"]:
        text += f" The document reads from its own: {row['text_readings']}."
    return text + (f" ({row['note'][:1].upper()}{row['note'][1:]}.)" if row["note"] else "")


def _beside_print(page: Page, row: Mapping[str, Any], printed: pd.DataFrame, run: Run | None, grid: str) -> None:
    """A matrix that the document prints: beside ours where the same classes were run."""
    from ltlib.plots import matrices

    names = [str(name) for name in printed.index]
    what = f"{label(row['method'])}, {label(row['model'])}"
    said = f"{what}, {int(printed.to_numpy().sum()):,} test images."
    if run is not None and [str(name) for name in run.class_names] == names:
        chart = matrices.compare_confusion(printed, confusion(run), names)
        caption = f"{said} Printed, ours, the difference, and recalls."
        page.figure(row["figure"], chart, caption=caption, runs=[run])
    else:
        chart = matrices.confusion_matrix(printed, names, title=f"As printed: {what} on {label(row['dataset'])}")
        caption = f"{said} The printed numbers alone; {_why(page, grid)[0]}"
        page.figure(row["figure"], chart, caption=caption, runs=[])
    page.say(matrix_check(row["document"], row["figure"]))


def matrix_check(document: str, figure: str) -> str:
    """Whether macro averages of a printed matrix give its table row, as a sentence with the numbers."""
    printed, shown = published.confusion(document, figure), published.figures(document)
    row = shown[shown["figure"] == figure].iloc[0]
    results = published.results(document)
    own = results[(results[["dataset", "model", "method"]] == row[["dataset", "model", "method"]]).all(axis=1)]
    scores = metrics.from_confusion(printed.to_numpy())
    told = dict(zip(own["metric"], own["printed"], strict=True))
    same = all(f"{scores[name]:.3f}" == text for name, text in told.items())
    listed = ", ".join(f"{label(name)} {scores[name]:.4f} (printed {text})" for name, text in told.items())
    recall = dict(zip(printed.index, scores["per_class"]["recall"], strict=True))
    weakest, rarest = min(recall, key=lambda name: recall[name]), list(recall)[-1]
    return (
        f"Macro averages of the matrix of Figure {figure} {'reproduce' if same else 'do not reproduce'} the "
        f"{row['method']} row of Table {own['table'].iloc[0]}: {listed}. The weakest class is {weakest}, recalled at "
        f"{recall[weakest]:.2f}; {rarest}, the rarest in training, is recalled at {recall[rarest]:.2f}."
    )


def bars(page: Page, number: str, frame: pd.DataFrame, runs: list[Run]) -> None:
    """Accuracy by network and method of one data set, printed and ours.

    Args:
        page: The page.
        number: The figure's.
        frame: Rows of `ltlib.tables.compare`, of several tables that share a data set.
        runs: Runs to name in the stamp, where the frame rests on them.
    """
    from ltlib.plots import bars as draw

    rows = frame[frame["metric"] == "accuracy"]
    dataset, model = str(rows["dataset"].iloc[0]), str(rows["model"].iloc[0])
    data, network = named(page.profile, dataset, model)
    same = data == label(dataset)
    title = label(dataset) + ("" if same else f"; ours: {network} on {data}, not comparable")
    caption = f"Accuracies of Tables {', '.join(dict.fromkeys(rows['table']))}."
    if network != label(model):
        caption += f" Ours in the place of {label(model)} is {network}{'' if same else f' on {data}'}."
    chart = draw.accuracy_bars(rows, title=title)
    own = {run_id for ids in rows["run_ids"] for run_id in ids}
    page.figure(number, chart, caption=caption, runs=[run for run in runs if run.id in own])


def curves_by_network(
    page: Page, study: Study, number: str, runs: Sequence[Run], grid: str, methods: Sequence[str]
) -> None:
    """Training and test accuracy by epoch, a panel for each network that was run; the first run of each method."""
    from ltlib.plots import training_panels

    panels: dict[str, dict[str, pd.DataFrame]] = {}
    used = []
    for (model, method), own in study.by_network(runs).items():
        if method in methods:
            panels.setdefault(_panel(model, own[0]), {})[method] = own[0].history
            used.append(own[0])
    if not panels:
        page.missing(f"figure {number}", "its runs are not there.", study.command(grid, page.profile))
        return
    chart = training_panels.accuracy_panels(panels, names=study.document.names)
    caption = f"Accuracy by epoch of {listed([study.name(method) for method in methods])}; one run a curve."
    page.figure(number, chart, caption=caption, runs=used)


def _panel(model: str, run: Run) -> str:
    return f"{label(parse(model)[0])} on {label(run.experiment.dataset)}"


def matrices_by_method(
    page: Page, study: Study, number: str, runs: Sequence[Run], grid: str, methods: Sequence[str]
) -> None:
    """Confusion matrices of some methods beside each other; the first run of each."""
    from ltlib.plots import matrices

    first = study.first_runs(runs)
    shown = {method: first[method] for method in methods if method in first}
    if not shown:
        page.missing(f"figure {number}", "its runs are not there.", study.command(grid, page.profile))
        return
    names = next(iter(shown.values())).class_names
    chart = matrices.confusion_matrices({study.name(method): confusion(run) for method, run in shown.items()}, names)
    caption = "Test images by actual and predicted class, last epoch; one run a method."
    page.figure(number, chart, caption=caption, runs=list(shown.values()))
