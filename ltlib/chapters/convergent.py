"""The chapter `convergent`: what the cells of its data set pages call, table by table.

A table of the document is one network on one set with three methods; `TABLES` in the document's order. Functions that
put something on a page take the page first; the rest return frames and sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import calibration, datasets, grids, metrics, profiles, published, recipes
from ltlib.plots.style import label
from ltlib.registry import parse

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.notebook import Page
    from ltlib.runs import Run

DOCUMENT = "convergent"
METHODS = ("ce", "focal", "supcon_ce")
NETWORKS = ("resnet18", "resnet34", "resnet50")
DATASETS = ("cifar10", "cifar100", "butterfly")
TABLES = {
    str(1 + 3 * d + n): (dataset, model) for d, dataset in enumerate(DATASETS) for n, model in enumerate(NETWORKS)
}
PRINTED_MATRICES = ("19", "28")
_RULES = {"best_test_loss": "lowest test loss", "best_test_accuracy": "best test accuracy", "last": "last epoch"}
CLOSE = 0.01
"""Accuracies nearer than this are not told apart with fewer than three runs: the tolerance of the verdicts."""


# --- what stands for what --------------------------------------------------------------------------------------------


def named(profile: str, dataset: str, model: str) -> tuple[str, str]:
    """How the data and the network are called that a profile trains for a column."""
    size = profiles.get(profile)
    return label(dict(size.stand_ins).get(dataset, dataset)), label(size.network or model)


def standing(page: Page, dataset: str) -> None:
    """Say what stands for the document's data and networks in this profile."""
    size = profiles.get(page.profile)
    text = []
    if stand_in := dict(size.stand_ins).get(dataset):
        text.append(
            f"In this profile {label(stand_in)} stand in for {label(dataset)}, at imbalance factor "
            f"{size.imbalance_factor:g}: the page shows how everything works and nothing about {label(dataset)}."
        )
        twins = [label(other) for other, name in size.stand_ins if name == stand_in and other != dataset]
        if twins:
            text.append(f"The page of {' and '.join(twins)} therefore rests on the same runs.")
    if size.network:
        text.append(
            f"One small network, {label(size.network)} with at most {size.epochs} epochs, stands in the column of "
            f"ResNet-18; those of ResNet-34 and ResNet-50 show the published numbers alone."
        )
    page.say(" ".join(text) or f"The document's own data and networks, {size.seeds} runs a cell.")


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


# --- the data --------------------------------------------------------------------------------------------------------


def counts(page: Page, dataset: str, runs: Sequence[Run], number: str = "Counts") -> None:
    """Images per class of what was trained on, with the fingerprint of the chosen images.

    Without a run the counts come from the set itself, or from the formula where all classes are of one size; where
    neither can be had, the figure is declared missing.
    """
    from ltlib.plots import distribution

    experiment = _stand_in(dataset, page.profile)
    name = label(experiment.dataset)
    if runs:
        found, names, print_ = runs[0].class_counts, list(runs[0].class_names), runs[0].fingerprint
    elif datasets.available(experiment.dataset):
        data = datasets.load(experiment.dataset, imbalance_factor=experiment.imbalance_factor)
        found, names, print_ = list(data.class_counts), list(data.class_names), data.fingerprint
    elif experiment.dataset.startswith("cifar"):
        known = datasets.info(experiment.dataset)
        largest = known.train_images // known.num_classes
        found = datasets.long_tailed_counts(largest, known.num_classes, experiment.imbalance_factor)
        names, print_ = [str(i) for i in range(len(found))], ""
    else:
        reason = (
            f"the images of {name} cannot be fetched without an account; {datasets.info(experiment.dataset).where}."
        )
        page.missing(f"figure {number}", reason, f"ltlib reproduce --profile {page.profile} --only {page.declared.id}")
        return
    chart = distribution.class_distribution(
        found, names, title=f"{name}, imbalance factor {max(found) / min(found):.3g}"
    )
    page.figure(number, chart, caption=f"Training images per class of {name}, as trained on.", runs=runs)
    said = f" SHA-256 of the chosen images' indices and classes: {print_[:16]}…" if print_ else ""
    page.say(f"{sum(found):,} training images in {len(found)} classes, {max(found):,} to {min(found):,} a class.{said}")


def _stand_in(dataset: str, profile: str) -> Any:
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
    text += f" Ours ({data}, {network}, {often}): {_ranked(ours)}."
    if profiles.get(profile).stand_ins:
        return f"{text} An order on {data} says nothing about the document's."
    gap = ours[0][1] - ours[1][1] if len(ours) > 1 else math.inf
    if min(runs) < 3 and gap < CLOSE:
        return f"{text} The first two differ by {_points(gap)}, too little for {often} to put them in order."
    same = [name for name, _ in ours] == [name for name, _ in printed if name in dict(ours)]
    return f"{text} The order is {'the printed one' if same else 'not the printed one'}."


def _ranking(frame: pd.DataFrame, column: str) -> list[tuple[str, float]]:
    rows = frame[(frame["metric"] == "accuracy") & frame[column].notna()]
    return sorted(zip(rows["method"], rows[column].astype(float), strict=True), key=lambda item: -item[1])


def _ranked(ranking: Sequence[tuple[str, float]]) -> str:
    first, value = ranking[0]
    parts = [f"{label(name)} {other:.3f} ({_points(value - other)} behind)" for name, other in ranking[1:]]
    return f"{label(first)} has the best accuracy, {value:.3f}" + (f", before {' and '.join(parts)}" if parts else "")


def _leads(frame: pd.DataFrame, method: str) -> str:
    best = frame.loc[frame.groupby("metric", sort=False)["published"].idxmax()]
    led = list(best.loc[best["method"] == method, "metric"])
    others = [f"{label(m)} in {label(k)}" for m, k in zip(best["method"], best["metric"], strict=True) if m != method]
    return f"it leads in {len(led)} of {len(best)} scores" + (f" ({', '.join(others)})" if others else "")


def _points(difference: float) -> str:
    return f"{100 * difference:.1f} points"


def figures(page: Page, number: str, runs: Sequence[Run]) -> None:
    """The figures of a table's network: curves with the document's own readings, confusion matrices.

    What was not run shares one box; the matrices that the document prints are shown in any case.
    """
    dataset, model = TABLES[number]
    rows = published.figures(DOCUMENT)
    rows = rows[(rows["dataset"] == dataset) & (rows["model"] == model)]
    first, left = first_runs(runs), []
    data, network = named(page.profile, dataset, model)
    for row in rows.to_dict("records"):
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
    dataset, model = TABLES[number]
    printed = published.confusion(DOCUMENT, figure)
    scores = metrics.from_confusion(printed.to_numpy())
    rows = published.table(DOCUMENT, number)
    row = rows[rows["method"] == "focal"].set_index("metric")["printed"]
    same = all(f"{scores[name]:.3f}" == text for name, text in row.items())
    listed = ", ".join(f"{label(str(name))} {scores[name]:.4f} (printed {text})" for name, text in row.items())
    recall = dict(zip(printed.index, scores["per_class"]["recall"], strict=True))
    last = list(recall)[-1]
    return (
        f"Macro averages of the matrix of Figure {figure} {'reproduce' if same else 'do not reproduce'} the focal row of "
        f"Table {number}: {listed}. {last.capitalize()}, the rarest training class, is recalled at {recall[last]:.2f}, "
        f"{list(recall)[3]} at {recall[list(recall)[3]]:.2f}: the weak classes are the hard ones more than the rare ones."
    )


# --- the text's recipe -----------------------------------------------------------------------------------------------


def recipe_differences(dataset: str, profile: str) -> pd.DataFrame:
    """Settings in which the author's code and the report's text differ, as a profile trains them."""
    import pandas as pd

    code = _stand_in(dataset, profile)
    text = grids.experiments(f"{DOCUMENT}/text_{dataset}", profile)[0][0]
    one, two = recipes.create(code.recipe), recipes.create(text.recipe)
    rows = [
        {"setting": f.name.replace("_", " "), "author's code": _plain(a), "report's text": _plain(b)}
        for f in fields(one)
        if f.name != "method_defaults" and (a := getattr(one, f.name)) != (b := getattr(two, f.name))
    ]
    first, second = dict(one.method_defaults), dict(two.method_defaults)
    rows += [
        {"setting": name.replace("_", " "), "author's code": _plain(first[name]), "report's text": _plain(second[name])}
        for name in first
        if first[name] != second.get(name)
    ]
    return pd.DataFrame(rows)


def _plain(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("_", " ")


def two_recipes(page: Page, number: str, code: Sequence[Run], text: Sequence[Run]) -> None:
    """The recipe of the author's code beside that of the report's text: settings, scores, and which comes closer."""
    import pandas as pd

    dataset, _ = TABLES[number]
    page.frame("Settings", recipe_differences(dataset, page.profile), "in which the code and the text differ")
    one, two = _by_method(code), _by_method(text)
    rows = published.table(DOCUMENT, number)
    printed = rows[rows["metric"] == "accuracy"].set_index("method")["value"]
    frame = pd.DataFrame(
        [
            {
                "method": label(method),
                "printed": f"{printed[method]:.3f}",
                "code": _mean(one.get(method, ()), "accuracy"),
                "text": _mean(two.get(method, ()), "accuracy"),
                "code, ECE": _mean(one.get(method, ()), "ece"),
                "text, ECE": _mean(two.get(method, ()), "ece"),
            }
            for method in METHODS
        ]
    )
    data, network = named(page.profile, *TABLES[number])
    page.frame("Two recipes", frame, f"test accuracy and calibration error, {network} on {data}", [*code, *text])
    page.say(recipe_sentence(frame, page.profile))


def recipe_sentence(frame: pd.DataFrame, profile: str) -> str:
    """What the comparison of the two recipes says."""
    both = frame[frame["code"].notna() & frame["text"].notna()]
    if both.empty:
        return "No method was run with both recipes, so nothing can be said about their difference."
    gains = [f"{m} {100 * (t - c):+.1f}" for m, c, t in zip(both["method"], both["code"], both["text"], strict=True)]
    said = f"The text's recipe instead of the code's moves the accuracy by, in points: {', '.join(gains)}."
    if profile != "paper":
        return f"{said} Which of the two made the printed numbers cannot be told in {profile}."
    target = both["printed"].astype(float)
    distance = {name: float((both[name] - target).abs().mean()) for name in ("code", "text")}
    nearer = min(distance, key=lambda name: distance[name])
    return (
        f"{said} On average the code's recipe lies {_points(distance['code'])} from the printed accuracies and the text's "
        f"{_points(distance['text'])}: the {nearer}'s comes closer."
    )


def _by_method(runs: Iterable[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(parse(run.experiment.method)[0], []).append(run)
    return found


def _mean(runs: Iterable[Run], name: str, which: str = "selected") -> float:
    values = [value for run in runs if (value := run.metrics[which].get(name)) is not None]
    return float(np.mean(values)) if values else float("nan")


# --- calibration and the closing comparison --------------------------------------------------------------------------


def calibrated(page: Page, runs: Sequence[Run], number: str = "Reliability") -> None:
    """Reliability diagrams of the methods at the selected epoch, errors by class group, and what they say."""
    from ltlib.plots import calibration as draw

    first = first_runs(runs)
    if not first:
        page.say("No run of this network is there, so its calibration cannot be shown.")
        return
    tables = {}
    for method, run in first.items():
        said = run.predictions["selected"]
        tables[method] = calibration.reliability(said.confidence, said.predicted == said.targets)
    page.figure(number, draw.reliability_diagram(tables), caption="Confidence against accuracy.", runs=first.values())
    frame = calibration_frame(first)
    page.frame("Calibration", frame, "at the selected epoch, test images", first.values())
    page.say(calibration_sentence(frame))


def calibration_frame(first: Mapping[str, Run]) -> pd.DataFrame:
    """Accuracy, mean confidence and ECE of each method, and ECE by class group; fractions."""
    import pandas as pd

    rows = []
    for method, run in first.items():
        said = run.predictions["selected"]
        right = said.predicted == said.targets
        own = calibration.group_errors(said.confidence, right, said.targets, run.groups)
        row = {"method": label(method), "accuracy": float(right.mean()), "confidence": float(said.confidence.mean())}
        row |= {"ECE": calibration.from_confidence(said.confidence, right)}
        rows.append(row | {f"ECE, {group}": value for group, value in own.items()})
    return pd.DataFrame(rows)


def calibration_sentence(frame: pd.DataFrame) -> str:
    """Who is best calibrated, and where confidence and accuracy part."""
    order = frame.sort_values("ECE", kind="stable")
    listed = ", ".join(f"{m} {100 * e:.1f}%" for m, e in zip(order["method"], order["ECE"], strict=True))
    text = f"Expected calibration error, best first: {listed}."
    over = [str(m) for m, c, a in zip(frame["method"], frame["confidence"], frame["accuracy"], strict=True) if c > a]
    under = [str(m) for m in frame["method"] if m not in over]
    sides = [
        f"{' and '.join(names)} {word}"
        for names, word in ((over, "over-confident"), (under, "under-confident"))
        if names
    ]
    text += f" On average {', '.join(sides)}."
    if {"ECE, head", "ECE, tail"} <= set(frame.columns):
        worse = int((frame["ECE, tail"].astype(float) > frame["ECE, head"].astype(float)).sum())
        text += f" The tail is worse calibrated than the head for {worse} of {len(frame)} methods."
    return text


def closing(page: Page, runs: Sequence[Run]) -> None:
    """One row a network and method: selected and last epoch, class groups, cost; and what it means."""
    frame = closing_frame(runs)
    if frame.empty:
        page.say("No run is there, so there is nothing to compare.")
        return
    page.frame("Comparison", frame, "selected epoch (the document's way) and last epoch; accuracy by class group", runs)
    page.say(closing_sentence(frame))


def closing_frame(runs: Iterable[Run]) -> pd.DataFrame:
    """Means over seeds; accuracies are fractions."""
    import pandas as pd

    rows = []
    for (model, method), own in by_cell(runs).items():
        groups = {
            name: np.mean([run.metrics["selected"]["groups"][name]["accuracy"] for run in own])
            for name in own[0].groups
        }
        rows.append(
            {
                "network": label(model),
                "method": label(method),
                "runs": len(own),
                "selected": _mean(own, "accuracy"),
                "last epoch": _mean(own, "accuracy", "last"),
                **{name: float(value) for name, value in groups.items()},
                "epochs": round(float(np.mean([len(run.history) for run in own]))),
                "minutes": float(np.mean([run.seconds for run in own])) / 60,
                "parameters": f"{own[0].parameters:,}",
                "MACs": f"{own[0].macs:,}",
            }
        )
    return pd.DataFrame(rows)


def closing_sentence(frame: pd.DataFrame) -> str:
    """What selection on the test set gains, and how far the tail lies behind the head."""
    best = frame.loc[frame["selected"].idxmax()]
    text = (
        f"The best here is {best['method']} with {best['network']}, {best['selected']:.3f}. Reporting the epoch of the "
        "lowest test loss, as the document does, means looking at the test set: against the last epoch it moves the accuracy by "
    )
    moved = 100 * (frame["selected"] - frame["last epoch"])
    text += f"{moved.min():+.1f} to {moved.max():+.1f} points." if len(frame) > 1 else f"{moved.iloc[0]:+.1f} points."
    if {"head", "tail"} <= set(frame.columns):
        gap = 100 * (frame["head"] - frame["tail"])
        low, high = frame.loc[gap.idxmin()], frame.loc[gap.idxmax()]
        text += (
            f" The tail lies {gap.min():.1f} points ({low['method']}, {low['network']}) to {gap.max():.1f} points "
            f"({high['method']}, {high['network']}) behind the head."
        )
    return text
