"""Plain training and two numbers fitted afterwards, tau and T, against everything: numbers, claims, sets of classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ltlib.calibration.effects import CROSS_FITTED, IN_SETS
from ltlib.sections import posthoc, sets, study
from ltlib.sections.answers import every, together
from ltlib.sections.posthoc import FITTED, SCALED, changes_of
from ltlib.sections.words import listed, many, printable
from ltlib.sections.world import Numbers, World, gathered
from ltlib.statistics import FEWEST_RUNS
from ltlib.tables.scores import CLOSE, used

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.pages.page import Page
    from ltlib.runs import Run

STUDY = study.of("beyond")
GRID = "post_hoc"
PLAIN = "ce"
Found = Mapping[str, Sequence["Run"]]
"""Runs of each method that keep held-out images, all seeds together."""
SHOWN = ("none", SCALED, FITTED, "vector_scaling", "isotonic")
NAMES = {
    "none": "as trained",
    SCALED: "temperature",
    FITTED: "tau and T",
    "vector_scaling": "vector scaling",
    "isotonic": "isotonic",
}
QUANTITIES = {"accuracy": "Accuracy", "tail": "Accuracy of the tail", "ece": "ECE"}


def runs(page: Page) -> dict[str, list[Run]]:
    """The runs of the grid by method; the page says what their records lack and which command makes it."""
    found = posthoc.runs(page, STUDY, f"beyond/{GRID}")
    old = [run for run in used(found) if "cross_fitted" not in (changes_of(run) or {}).get("none", {})]
    if old:
        page.note(
            f"{many(len(old), 'run')} of {len(used(found))} {'is' if len(old) == 1 else 'are'} here only as a record "
            "from before vector scaling, cross-fitting and conformal sets were measured, which need logits: what is "
            f"missing is a dash below. {STUDY.command(GRID, page.profile)} trains runs without a record, ltlib train "
            "--weights those that have one."
        )
    return found


def value(run: Run, post: str, quantity: str) -> float:
    """A number of a run after a post-hoc method; NaN where its record or a class group lacks it.

    Args:
        run: The run.
        post: The post-hoc method.
        quantity: ``tail`` for the tail's accuracy, or what `effects.before_and_after` has.
    """
    own = (changes_of(run) or {}).get(post, {})
    found = own.get("groups", {}).get("tail", {}).get("accuracy") if quantity == "tail" else own.get(quantity)
    return math.nan if found is None else float(found)


def mean(own: Sequence[Run], post: str, quantity: str) -> float:
    """The mean of `value` over the runs that have it."""
    values = [one for run in own if not math.isnan(one := value(run, post, quantity))]
    return float(np.mean(values)) if values else math.nan


# --- before and after ------------------------------------------------------------------------------------------------


def compare(page: Page, found: Found) -> None:
    """What two fitted numbers do to plain training, in a sentence, a figure and a table of all methods."""
    from ltlib import plots

    if not found:
        return
    where = study.setting(next(iter(found.values()))[0].experiment)
    page.say(f"{where}: {sentence(found)}")
    rows = moves(found)
    errors = [row[key] for row in rows for key in ("ece", "ece before")]
    chart = plots.points.plane(
        rows,
        emphasise=[STUDY.name(PLAIN)],
        log=min(errors) > 0 and max(errors) > 8 * min(errors),
        floor=float(np.nanmean([mean(own, "none", "ece_floor") for own in found.values()])),
    )
    caption = (
        f"{where}. From as trained (small, open) to tau and T fitted on held-out training images (filled); the best "
        "lie lower right. Dotted: what chance alone gives."
    )
    page.figure("Accuracy and ECE, before and after", chart, caption=caption, runs=used(found))
    page.frame("Post-hoc methods", table(found), f"{where}; test images, means over runs", used(found))


def moves(found: Found) -> list[dict[str, Any]]:
    """Each method's accuracy and ECE with tau and T, and before, for `plots.points.plane`; the most accurate first."""
    rows = []
    for method, own in found.items():
        row: dict[str, Any] = {"name": STUDY.name(method)}
        for key in ("accuracy", "ece"):
            row |= {key: mean(own, FITTED, key), f"{key} before": mean(own, "none", key)}
        rows += [row] if not math.isnan(row["accuracy"]) else []
    return sorted(rows, key=lambda row: -row["accuracy"])


def table(found: Found) -> pd.DataFrame:
    """A row a method and post-hoc method: accuracy, the tail's, ECE without chance, chance alone, likelihood."""
    import pandas as pd

    rows = []
    for method, own in found.items():
        for post in SHOWN:
            rows.append(
                {
                    "method": STUDY.name(method),
                    "afterwards": NAMES[post],
                    "runs": sum(not math.isnan(value(run, post, "accuracy")) for run in own),
                    "accuracy (%)": 100 * mean(own, post, "accuracy"),
                    "tail (%)": 100 * mean(own, post, "tail"),
                    "ECE (%)": 100 * mean(own, post, "ece"),
                    "ECE debiased (%)": 100 * mean(own, post, "ece_debiased"),
                    "chance alone (%)": 100 * mean(own, post, "ece_floor"),
                    "NLL": mean(own, post, "nll"),
                }
            )
    twos = ("ECE (%)", "ECE debiased (%)", "chance alone (%)", "NLL")
    return printable(pd.DataFrame(rows), dict.fromkeys(twos, 2))


def sentence(found: Found) -> str:
    """What tau and T make of plain training, and what of the others."""
    if PLAIN not in found:
        return "plain training with held-out images was not run, so there is nothing to hold the others against."
    own = found[PLAIN]

    def three(post: str) -> str:
        tail = mean(own, post, "tail")
        of_it = "" if math.isnan(tail) else f" ({100 * tail:.1f}% on the tail)"
        return f"{100 * mean(own, post, 'accuracy'):.1f}%{of_it} with an ECE of {100 * mean(own, post, 'ece'):.1f}%"

    text = f"plain training is right for {three('none')}; with tau and T fitted, for {three(FITTED)}."
    others = {m: mean(o, FITTED, "accuracy") - mean(o, "none", "accuracy") for m, o in found.items() if m != PLAIN}
    gains = [f"{STUDY.name(method)} {100 * gain:+.1f}" for method, gain in others.items() if not math.isnan(gain)]
    return f"{text} The same two numbers move the others' accuracy by, in points: {listed(gains)}." if gains else text


# --- against everything ----------------------------------------------------------------------------------------------


class Question(NamedTuple):
    """A sentence about plain training with tau and T.

    Attributes:
        text: The sentence.
        quantity: One of `QUANTITIES`.
        against: What is fitted to the others.
        within: Fraction by which the others may be ahead; None asks whether plain training is ahead of each.
    """

    text: str
    quantity: str
    against: str
    within: float | None = None


QUESTIONS = (
    Question("With tau and T, plain training is more accurate than each other method as trained.", "accuracy", "none"),
    Question("It is more accurate on the tail than each other method as trained.", "tail", "none"),
    Question("It is better calibrated (ECE) than each other method as trained.", "ece", "none"),
    Question(
        "Where every method has its own tau and T, none is more than a point more accurate than plain training.",
        *("accuracy", FITTED, CLOSE["accuracy"]),
    ),
)


def claims(page: Page, found: Found) -> None:
    """Judges `QUESTIONS` by the runs."""
    if PLAIN not in found or len(found) < 2:
        page.say("Plain training and another method with held-out images are needed to hold one against the other.")
        return
    rule = (
        f"asked of each other method alone; from {FEWEST_RUNS} runs a side on by the 95% interval of the difference, "
        f"with fewer by more than {100 * CLOSE['accuracy']:g} point of accuracy or {100 * CLOSE['ece']:g} of ECE"
    )
    world = measured(found)
    for question in QUESTIONS:
        answer = judged(world, question, [method for method in found if method != PLAIN])
        page.claim(
            question.text,
            "this page's question",
            answer.answer,
            evidence(world, question),
            runs=answer.runs,
            rule=rule,
        )


def measured(found: Found) -> World:
    """Every number of `QUANTITIES`, by method and what was fitted to it."""
    quantities: dict[str, Numbers] = {}
    for quantity in QUANTITIES:
        pairs = [
            ((method, post), value(run, post, quantity))
            for method, own in found.items()
            for run in own
            for post in ("none", FITTED)
        ]
        quantities[quantity] = gathered(pairs, CLOSE["ece" if quantity == "ece" else "accuracy"])
    return World(quantities, ours=True)


def judged(world: World, question: Question, others: Sequence[str]) -> Any:
    """The answer to a question, as `answers.Compared`."""
    own = (PLAIN, FITTED)
    return together(
        every,
        [world.better(question.quantity, own, (other, question.against), question.within) for other in others],
    )


def evidence(world: World, question: Question) -> str:
    """The numbers that a question asks about, the best first, and how many runs are behind them."""
    numbers = world.numbers(question.quantity)
    keys = [key for key in numbers.values if key == (PLAIN, FITTED) or (key[0] != PLAIN and key[1] == question.against)]
    parts = [
        f"{STUDY.name(key[0])}{' with tau and T' if key[1] == FITTED else ''} {100 * numbers[key]:.1f}%"
        for key in world.sorted(question.quantity, keys)
    ]
    fewest, most = (end(numbers.runs(key) for key in keys) for end in (min, max)) if keys else (0, 0)
    behind = f"n = {fewest}" if fewest == most else f"n = {fewest} to {most}"
    return f"{QUANTITIES[question.quantity]} ({behind}): {'; '.join(parts) or 'not run'}"


# --- cross-fitting ---------------------------------------------------------------------------------------------------


def promised(run: Run, post: str) -> Mapping[str, Any]:
    """What cross-fitting gave a run, empty where its record is older."""
    return (changes_of(run) or {}).get(post, {}).get("cross_fitted", {})


def cross_fitted(page: Page, found: Found) -> None:
    """The fitted numbers with their spread, what held-out images promise and what the test images show."""
    known = {method: own for method, runs in found.items() if (own := [run for run in runs if promised(run, "none")])}
    if not known:
        if found:
            page.say("No run that is here was cross-fitted; the note above says how to make them.")
        return
    page.say(chosen(known))
    caption = (
        "tau and T: fitted on all held-out images; between folds: standard deviation of the five fits without a fold; "
        "between runs: that of the runs. Promised: by held-out images out of fold, every class with the same weight"
    )
    with page.fold("What was fitted with its spread, and what held-out images promised of each method"):
        page.frame("Cross-fitting", promises(known), caption, used(known))


def promises(known: Found) -> pd.DataFrame:
    """A row a method and cross-fitted post-hoc method: fitted numbers, accuracy and likelihood promised and found."""
    import pandas as pd

    rows = []
    for method, own in known.items():
        for post in (name for name in SHOWN if name in CROSS_FITTED):
            row: dict[str, Any] = {"method": STUDY.name(method), "afterwards": NAMES[post]}
            for name, parameter in (("tau", "tau"), ("T", "temperature")):
                row |= {name: spread(own, post, parameter)}
            for name, key, scale in (("accuracy (%)", "accuracy", 100), ("NLL", "nll", 1)):
                row[f"{name} promised"] = scale * float(np.mean([promised(run, post)[key] for run in own]))
                row[f"{name} found"] = scale * mean(own, post, key)
            rows.append(row)
    return printable(pd.DataFrame(rows), {"NLL promised": 2, "NLL found": 2})


def spread(own: Sequence[Run], post: str, parameter: str) -> str:
    """A fitted number with its spread, ``1.13 (0.05 between folds, 0.03 between runs)``; a dash where none is."""
    fitted = [(changes_of(run) or {})[post]["parameters"].get(parameter) for run in own]
    if None in fitted:
        return "–"
    folds = [np.std(promised(run, post)["parameters"][parameter], ddof=1) for run in own]
    text = f"{np.mean(fitted):.2f} ({np.mean(folds):.2f} between folds"
    return f"{text}, {np.std(fitted, ddof=1):.2f} between runs)" if len(own) > 1 else f"{text})"


def chosen(known: Found) -> str:
    """Which post-hoc method the held-out images choose, and what that choice costs on the test images."""
    lost, parts = {}, []
    for method, own in known.items():
        name = STUDY.name(method)
        before = {post: float(np.mean([promised(run, post)["nll"] for run in own])) for post in CROSS_FITTED}
        after = {post: mean(own, post, "nll") for post in CROSS_FITTED}
        pick, best = min(before, key=lambda post: before[post]), min(after, key=lambda post: after[post])
        lost[name] = after[pick] - after[best]
        parts.append(f"{name} {NAMES[pick]}" + ("" if pick == best else f" (the test images {NAMES[best]})"))
    right = sum(loss == 0 for loss in lost.values())
    worst = max(lost, key=lambda name: lost[name])
    text = (
        f"By the likelihood out of fold the held-out images choose: {listed(parts)}. That is the best of "
        f"{len(CROSS_FITTED)} on the test images for {right} of {many(len(lost), 'method')}"
    )
    return text + (f"; the dearest other choice, {worst}'s, costs {lost[worst]:.2f} nats." if lost[worst] > 0 else ".")


# --- sets of classes -------------------------------------------------------------------------------------------------


def conformal(page: Page, found: Found) -> None:
    """Coverage and size of conformal sets: of plain training in words and a figure, of all methods in a table."""
    from ltlib import plots

    known = {method: own for method, runs in found.items() if (own := sets.with_sets(runs))}
    if not known:
        if found:
            page.say("No run that is here knows conformal sets; the note above says how to make them.")
        return
    first = PLAIN if PLAIN in known else next(iter(known))
    for post in IN_SETS:
        page.say(sets.sentence(STUDY.name(first), known[first], post))
    page.say(sets.tail_sentence(known, STUDY, IN_SETS))
    where = study.setting(known[first][0].experiment)
    alpha = (changes_of(known[first][0]) or {})["none"]["sets"]["alpha"]
    chart = plots.points.group_dots(
        sets.dots(known[first], IN_SETS), xlabel="Sets that hold the actual class (%)", promise=1 - alpha
    )
    over = "runs" if len(known[first]) >= FEWEST_RUNS else "test images"
    caption = (
        f"{STUDY.name(first)}, {where}. By probability; thresholds from held-out training images; lines: 95% intervals "
        f"over {over}; dotted: what is promised."
    )
    page.figure("Coverage by class group", chart, caption=caption, runs=known[first])
    with page.fold(f"Sets of {many(len(known), 'method')} in numbers: coverage, size, class groups, both kinds"):
        page.frame("Conformal sets", sets.table(STUDY, known, IN_SETS), f"{where}; test images", used(known))
