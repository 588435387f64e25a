"""The chapter `convergent`: what the cells of its data set pages call, table by table.

A table of the document is one network on one set with three methods; `TABLES` in the document's order. Functions that
put something on a page take the page first; the rest return frames and sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import datasets, grids, metrics, profiles, published
from ltlib.plots.style import label
from ltlib.registry import parse
from ltlib.runs import Run, load
from ltlib.sections.scores import points
from ltlib.tables import verdicts

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page

DOCUMENT = "convergent"
METHODS = ("ce", "focal", "supcon_ce")
NETWORKS = ("resnet18", "resnet34", "resnet50")
DATASETS = ("cifar10", "cifar100", "butterfly")
TABLES = {
    str(1 + 3 * d + n): (dataset, model) for d, dataset in enumerate(DATASETS) for n, model in enumerate(NETWORKS)
}
PRINTED_MATRICES = ("19", "28")
_RULES = {"best_test_loss": "lowest test loss", "best_test_accuracy": "best test accuracy", "last": "last epoch"}
CLOSE = verdicts.TOLERANCES["accuracy"]
"""Accuracies nearer than this are not told apart with fewer than three runs: the tolerance of the verdicts."""


# --- what stands for what --------------------------------------------------------------------------------------------


def named(profile: str, dataset: str, model: str) -> tuple[str, str]:
    """How the data and the network are called that a profile trains for a column."""
    size = profiles.get(profile)
    return label(dict(size.stand_ins).get(dataset, dataset)), label(size.network or model)


def first_runs(runs: Iterable[Run]) -> dict[str, Run]:
    """The first run of each method, in the document's order of methods."""
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: (run.experiment.subset_seed, run.experiment.seed)):
        found.setdefault(parse(run.experiment.method)[0], run)
    return {method: found[method] for method in (*METHODS, *found) if method in found}


def by_cell(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs by network and method, all seeds together, in the order they come."""
    found: dict[tuple[str, str], dict[str, Run]] = {}
    for run in runs:
        found.setdefault((run.experiment.model, parse(run.experiment.method)[0]), {})[run.id] = run
    return {key: list(own.values()) for key, own in found.items()}


def prose(name: str) -> str:
    """A data set's name inside a sentence."""
    return {"butterfly": "the butterfly set"}.get(name, label(name).replace("Digits", "digits"))


def stand_in(profile: str) -> str:
    """What the profile trains on in place of the document's sets, in words; empty where it is those sets."""
    names = [prose(name) for _, name in profiles.get(profile).stand_ins]
    return names[0] if names else ""


# --- the data --------------------------------------------------------------------------------------------------------


def counts(page: Page, dataset: str, number: str = "Counts") -> None:
    """Images per class of what is trained on, with the fingerprint of the chosen images.

    Without a finished run the counts come from the set itself, or from the formula where all classes are of one size;
    where neither can be had, the figure is declared missing.
    """
    from ltlib.plots import distribution

    experiment = trained(dataset, page.profile)
    name, known = label(experiment.dataset), datasets.info(experiment.dataset)
    run = load(experiment.run_id)
    if run is not None:
        found, names, print_ = run.class_counts, list(run.class_names), run.fingerprint
    elif datasets.available(experiment.dataset):
        data = datasets.load(experiment.dataset, imbalance_factor=experiment.imbalance_factor)
        found, names, print_ = list(data.class_counts), list(data.class_names), data.fingerprint
    elif known.balanced:
        largest = known.train_images // known.num_classes
        found = datasets.long_tailed_counts(largest, known.num_classes, experiment.imbalance_factor)
        names, print_ = [str(i) for i in range(len(found))], ""
    else:
        reason = f"the images of {name} cannot be fetched without an account; {known.where}."
        page.missing(f"figure {number}", reason, f"ltlib reproduce --profile {page.profile} --only {page.declared.id}")
        return
    chart = distribution.class_distribution(
        found, names, title=f"{name}, imbalance factor {max(found) / min(found):.3g}"
    )
    page.figure(number, chart, caption=f"Training images per class of {name}.", runs=[run] if run else [])
    said = f" SHA-256 of the chosen images' indices and classes: {print_[:16]}…" if print_ else ""
    page.say(f"{sum(found):,} training images in {len(found)} classes, {max(found):,} to {min(found):,} a class.{said}")


def trained(dataset: str, profile: str) -> Any:
    """What a profile trains for the first column of a data set."""
    table = next(number for number, (name, _) in TABLES.items() if name == dataset)
    experiment = grids.cells(DOCUMENT, table)[0].experiment
    mapped = profiles.resolve(experiment, profile)
    return experiment if isinstance(mapped, profiles.Impossible) else mapped


# --- a table and its figures -----------------------------------------------------------------------------------------


def table(page: Page, number: str) -> list[Run]:
    """A table of the document beside ours, what it says, and where the source contradicts it."""
    runs = page.runs(f"{DOCUMENT}/{number}", quiet=True)
    page.table(DOCUMENT, number, runs)
    page.say(reading(page.frames[number], page.profile))
    page.notes(DOCUMENT, table=number)
    return runs


def reading(frame: pd.DataFrame, profile: str) -> str:
    """What a table says, in sentences made from a frame of `tables.compare`."""
    printed = _ranking(frame, "published")
    text = f"Printed: {_ranked(printed)}; {_leads(frame, printed[0][0])}."
    ours = _ranking(frame, "reproduced")
    if not ours:
        return f"{text} Ours: nothing was run for this table in {profile}."
    data, network = named(profile, *TABLES[str(frame["table"].iloc[0])])
    runs = {int(n) for n in frame.loc[frame["n"] > 0, "n"]}
    often = f"{'-'.join(str(n) for n in sorted(runs))} run{'s' * (max(runs) > 1)} each"
    if len(ours) == 1:
        only, value = ours[0]
        return f"{text} Ours ({data}, {network}, {often}): {label(only)} {value:.3f}; the other methods were not run."
    text += f" Ours ({data}, {network}, {often}): {_ranked(ours)}."
    if profiles.get(profile).stand_ins:
        return f"{text} An order on {stand_in(profile)} says nothing about the document's."
    gap = ours[0][1] - ours[1][1]
    if min(runs) < 3 and gap < CLOSE:
        return f"{text} The first two differ by {points(gap)}, too little for {often} to put them in order."
    same = [name for name, _ in ours] == [name for name, _ in printed if name in dict(ours)]
    return f"{text} The order is {'the printed one' if same else 'not the printed one'}."


def _ranking(frame: pd.DataFrame, column: str) -> list[tuple[str, float]]:
    rows = frame[(frame["metric"] == "accuracy") & frame[column].notna()]
    return sorted(zip(rows["method"], rows[column].astype(float), strict=True), key=lambda item: -item[1])


def _ranked(ranking: Sequence[tuple[str, float]]) -> str:
    first, value = ranking[0]
    parts = [f"{label(name)} {other:.3f} ({points(value - other)} behind)" for name, other in ranking[1:]]
    return f"{label(first)} has the best accuracy, {value:.3f}" + (f", before {' and '.join(parts)}" if parts else "")


def _leads(frame: pd.DataFrame, method: str) -> str:
    best = frame.loc[frame.groupby("metric", sort=False)["published"].idxmax()]
    led = list(best.loc[best["method"] == method, "metric"])
    others = [f"{label(m)} in {label(k)}" for m, k in zip(best["method"], best["metric"], strict=True) if m != method]
    return f"it leads in {len(led)} of {len(best)} scores" + (f" ({', '.join(others)})" if others else "")


def figures(page: Page, number: str, runs: Sequence[Run]) -> None:
    """The figures of a table's network: curves with the document's own readings, confusion matrices.

    What was not run shares one box; the matrices that the document prints are shown in any case.
    """
    dataset, model = TABLES[number]
    rows = published.figures(DOCUMENT)
    rows = rows[(rows["dataset"] == dataset) & (rows["model"] == model)]
    first, left = first_runs(runs), []
    data, network = named(page.profile, dataset, model)
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        run, title = first.get(row["method"]), f"{label(row['method'])}: {network} on {data}"
        if row["figure"] in PRINTED_MATRICES:
            _printed_matrix(page, row["figure"], number, run)
        elif run is None:
            left.append(f"figure {row['figure']}")
        else:
            page.figure(row["figure"], _chart(row, run, title), caption=_caption(row), runs=[run])
    if left:
        page.missing(left, *_why(page, number))


def _why(page: Page, number: str) -> tuple[str, str]:
    """Why a table's figures are not here, and the command that makes them."""
    impossible = grids.experiments(f"{DOCUMENT}/{number}", page.profile)[1]
    if impossible:
        return f"{next(iter(impossible.values())).reason}.", grids.command(DOCUMENT, number)
    return "their runs are not there.", grids.command(DOCUMENT, number, page.profile)


def _chart(row: Mapping[str, Any], run: Run, title: str) -> Any:
    from ltlib.plots import curves, matrices

    if row["kind"] == "confusion_matrix":
        said = run.predictions["selected"]
        counted = metrics.confusion_matrix(said.targets, said.predicted, len(run.class_names))
        return matrices.confusion_matrix(counted, run.class_names, title=title)
    draw = curves.accuracy_curve if row["kind"] == "accuracy_curve" else curves.loss_curve
    chosen = {"selected": run.metrics["selected"]["epoch"], "selected_as": _RULES.get(run.selection, run.selection)}
    return draw(run.history, **chosen, readings=row["text_readings"], title=title)


def _caption(row: Mapping[str, Any]) -> str:
    what = {
        "accuracy_curve": "Accuracy by epoch",
        "loss_curve": "Loss by epoch",
        "confusion_matrix": "Confusion matrix",
    }
    text = (
        f"{what[row['kind']]}; in the document {label(row['model'])}, {label(row['method'])}, {label(row['dataset'])}."
    )
    if row["kind"] == "confusion_matrix" and row["text_readings"]:
        text += f" The document reads from its own: {row['text_readings']}."
    return text + (f" ({row['note'][:1].upper()}{row['note'][1:]}.)" if row["note"] else "")


def _printed_matrix(page: Page, figure: str, number: str, run: Run | None) -> None:
    """One of the two matrices that the document prints: beside ours where the same classes were run."""
    from ltlib.plots import matrices

    printed = published.confusion(DOCUMENT, figure)
    names = [str(name) for name in printed.index]
    model = TABLES[number][1]
    said = f"{label(model)} with focal loss, {int(printed.to_numpy().sum()):,} test images."
    if run is not None and [str(name) for name in run.class_names] == names:
        own = run.predictions["selected"]
        ours = metrics.confusion_matrix(own.targets, own.predicted, len(names))
        chart = matrices.compare_confusion(printed, ours, names)
        page.figure(figure, chart, caption=f"{said} Printed, ours, the difference, and recalls.", runs=[run])
    else:
        chart = matrices.confusion_matrix(printed, names, title=f"As printed: focal, {label(model)} on CIFAR-10")
        page.figure(figure, chart, caption=f"{said} The printed numbers alone; {_why(page, number)[0]}", runs=[])
    page.say(matrix_check(figure, number))


def matrix_check(figure: str, number: str) -> str:
    """Whether macro averages of a printed matrix give its table row, as a sentence with the numbers."""
    printed = published.confusion(DOCUMENT, figure)
    scores = metrics.from_confusion(printed.to_numpy())
    rows = published.table(DOCUMENT, number)
    row = rows[rows["method"] == "focal"].set_index("metric")["printed"]
    told = {str(name): text for name, text in row.items()}
    same = all(f"{scores[name]:.3f}" == text for name, text in told.items())
    listed = ", ".join(f"{label(name)} {scores[name]:.4f} (printed {text})" for name, text in told.items())
    recall = dict(zip(printed.index, scores["per_class"]["recall"], strict=True))
    weakest, rarest = min(recall, key=lambda name: recall[name]), list(recall)[-1]
    return (
        f"Macro averages of the matrix of Figure {figure} {'reproduce' if same else 'do not reproduce'} the focal "
        f"row of Table {number}: {listed}. The weakest class is {weakest}, recalled at {recall[weakest]:.2f}; "
        f"{rarest}, the rarest in training, is recalled at {recall[rarest]:.2f}."
    )
