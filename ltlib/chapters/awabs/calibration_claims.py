"""What `awabs` says about calibration, judged by its own printed numbers and by ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ltlib import published
from ltlib.chapters.awabs import AWABS
from ltlib.chapters.awabs.calibration import ROWS
from ltlib.grids.awabs import PROPOSED, STAGE_1
from ltlib.sections import groups as class_groups
from ltlib.sections import posthoc as after_training
from ltlib.sections.claims import Claim, Compared, Judgement, Numbers, Value, conclude, every
from ltlib.tables import scores

if TYPE_CHECKING:
    from ltlib.runs import Run

Judge = Callable[["World"], Judgement]
BALANCED = "balanced"
SEVERE = 0.05
"""What "severe" is read as: confidence at least five points above accuracy."""
SOFT = (
    *(("mixup", "ce"), ("crt_mixup", "crt"), ("lws_mixup", "lws")),
    *((method, STAGE_1[method]) for method in PROPOSED),
)
"""A method with softened labels and the same without."""
HARD = ("ce", "mixup", "crt", "lws")
"""Networks without the document's class-wise smoothing: what its stage 2 sets out to cure."""
LEARNT = ("ce", "ldam_drw", "lade", "crt", "lws", "mislas")
"""The state of the art that chapter 3 speaks of: one and two stages."""


@dataclass(frozen=True)
class World:
    """What one side has measured, at one imbalance factor.

    Attributes:
        ece: By ``(method,)``; `BALANCED` is plain training on the balanced set.
        accuracy: The same.
        gap: Confidence minus accuracy by ``(method,)`` and by ``(kind, method, group)``; empty in print.
        hidden: What the ECE leaves out, by ``(method,)``; empty in print.
        posthoc: What post-hoc methods change, as `after_training.means`; empty in print.
        ours: Whether these are our numbers.
    """

    ece: Numbers
    accuracy: Numbers
    gap: Numbers = field(default_factory=lambda: Numbers({}))
    hidden: Mapping[str, float] = field(default_factory=dict)
    posthoc: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    ours: bool = False

    def errors(self, methods: Iterable[str]) -> str:
        """Calibration errors of some methods, those that are there."""
        said = [f"{_called(m)} {100 * self.ece[m,]:.1f}%" for m in methods if (m,) in self.ece]
        return ", ".join(said) or "no calibration error"


def _called(method: str) -> str:
    return "plain training on balanced data" if method == BALANCED else AWABS.name(method)


def printed_world() -> World:
    """CIFAR-100 at factor 100 from Tables 4.1 and 4.3 to 4.7, read literally; the first print of a number counts."""
    rows = published.results(AWABS.id)
    rows = rows[(rows["dataset"] == "cifar100") & rows["split"].eq("all") & rows["imbalance"].isin([1.0, 100.0])]
    values: dict[str, dict[Any, Value]] = {"ece": {}, "accuracy": {}}
    for row in rows.to_dict("records"):
        method = BALANCED if row["imbalance"] == 1 else row["method"]
        if row["stage"] == "1":
            method = STAGE_1[row["method"]]
        values[row["metric"]].setdefault((method,), Value(row["value"] / 100))
    return World(Numbers(values["ece"]), Numbers(values["accuracy"]))


def our_world(
    found: Mapping[str, Sequence[Run]],
    others: Sequence[Run] = (),
    posthoc: Mapping[str, Sequence[Run]] | None = None,
) -> World:
    """Our numbers.

    Args:
        found: Runs of ``awabs/methods`` by method.
        others: Further runs; plain training on the balanced set is taken from them where set and network are those of
            `found`.
        posthoc: Runs with held-out images by method.
    """
    setting = {(run.experiment.dataset, run.experiment.model) for own in found.values() for run in own}
    balanced = [
        run
        for run in others
        if run.experiment.imbalance_factor == 1
        and AWABS.row(run) == "ce"
        and (run.experiment.dataset, run.experiment.model) in setting
    ]
    every_ = {**found, **({BALANCED: balanced} if balanced else {})}
    ece = {(m,): _value([run.metrics["selected"]["ece"] for run in own]) for m, own in every_.items()}
    right = {(m,): _value([run.metrics["selected"]["accuracy"] for run in own]) for m, own in every_.items()}
    gaps: dict[Any, list[float]] = {}
    hidden: dict[str, list[float]] = {}
    for method, own in every_.items():
        for run in own:
            said = run.predictions["selected"]
            gaps.setdefault((method,), []).append(
                float(said.confidence.mean() - (said.predicted == said.targets).mean())
            )
            hidden.setdefault(method, []).append(class_groups.hidden(run))
            for kind, methods in class_groups.group_gaps(AWABS, {method: run}).items():
                for group, gap in next(iter(methods.values())).items():
                    if np.isfinite(gap):
                        gaps.setdefault((kind, method, group), []).append(gap)
    return World(
        Numbers(ece, scores.CLOSE["ece"]),
        Numbers(right, scores.CLOSE["accuracy"]),
        Numbers({key: _value(values) for key, values in gaps.items()}, scores.CLOSE["ece"]),
        {method: float(np.mean(values)) for method, values in hidden.items()},
        after_training.means(posthoc) if posthoc else {},
        ours=True,
    )


def _value(values: Sequence[float]) -> Value:
    return Value(
        float(np.mean(values)), len(values), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    )


# --- judges ----------------------------------------------------------------------------------------------------------


def unbalanced_is_worse(world: World) -> Judgement:
    """Plain training: a larger error on the long-tailed set than on the balanced one; ours also above its accuracy."""
    compared = [world.ece.compare(("ce",), (BALANCED,))]
    line = world.errors([BALANCED, "ce"])
    if world.ours and ("ce",) in world.gap:
        compared.append(Compared(world.gap["ce",] >= SEVERE, True))
        line += f"; confidence minus accuracy of CE {100 * world.gap['ce',]:+.1f} points"
    return conclude([(compared, line)])


def below_balanced(world: World) -> Judgement:
    """Each proposed method's error lies below that of plain training on the balanced set."""
    compared = [world.ece.compare((BALANCED,), (method,)) for method in PROPOSED]
    return conclude([(compared, world.errors([BALANCED, *PROPOSED]))])


def softening_helps(world: World) -> Judgement:
    """Each method with soft labels has a lower error than the same without."""
    return conclude([([world.ece.compare((hard,), (soft,))], world.errors([soft, hard])) for soft, hard in SOFT])


def severe(world: World) -> Judgement:
    """Confidence at least five points above accuracy for every method; in print an error below that refutes it."""
    if not world.ours:  # |confidence - accuracy| is at most the ECE
        low = [m for m in LEARNT if (m,) in world.ece and world.ece[m,] < SEVERE]
        rest = "A calibration error has no side, so a large one decides nothing"
        return Judgement(False if low else None, f"{rest}; a small one refutes: {world.errors(low)}.")
    groups = []
    for method in LEARNT:
        there = (method,) in world.gap
        line = f"{AWABS.name(method)} {100 * world.gap[method,]:+.1f} points" if there else ""
        groups.append(([Compared(world.gap[method,] >= SEVERE if there else None, there)], line))
    return conclude(groups)


def by_group(kind: str) -> Judge:
    """Head and middle classes are more over-confident than tail classes, for every network in `HARD`."""

    def judge(world: World) -> Judgement:
        if not world.gap.values:
            return Judgement(None, "No confidence by class group is printed.")
        groups = []
        for method in HARD:
            keys = [(kind, method, group) for group in ("head", "middle", "tail")]
            compared = [world.gap.compare(key, keys[-1]) for key in keys[:-1]]
            own = ", ".join(f"{key[2]} {100 * world.gap[key]:+.0f}" for key in keys if key in world.gap)
            groups.append((compared, f"{AWABS.name(method)} {own} points"))
        return conclude(groups)

    return judge


def lowest(world: World) -> Judgement:
    """Method 2 has the lowest error of all rows of Table 4.1."""
    others = [method for method in ROWS if method != "awabs_cutmix"]
    compared = [world.ece.compare((method,), ("awabs_cutmix",)) for method in others]
    known = sorted((m for m in ROWS if (m,) in world.ece), key=lambda m: world.ece[m,])
    return conclude([(compared, f"lowest first: {world.errors(known[:3])}" if known else "no row")])


def sufficient(world: World) -> Judgement:
    """No method's groups cancel by more than a point inside the ECE of all images."""
    if not world.hidden:
        return Judgement(None, "No error by class group is printed.")
    worst = sorted(world.hidden, key=lambda method: -world.hidden[method])
    said = ", ".join(f"{_called(m)} {100 * world.hidden[m]:.1f} of {100 * world.ece[m,]:.1f}%" for m in worst[:3])
    groups = [([Compared(world.hidden[m] <= 0.01, True)], "") for m in world.hidden]
    found = conclude(groups)
    return Judgement(
        found.answer,
        f"Errors of head, middle and tail (as predicted) that cancel inside the ECE, in points, most first: {said}.",
    )


def improves_accuracy(world: World) -> Judgement:
    """Temperature scaling and isotonic regression: each makes every network more accurate and better calibrated."""
    fixed = "A temperature changes no predicted class, so no accuracy"
    if not world.ours:
        return Judgement(None, "The document calibrates nothing after training.")
    if not world.posthoc:
        return Judgement(False, f"{fixed}.")
    answers, lines = [], []
    for method, changes in world.posthoc.items():
        for post in (after_training.SCALED, "isotonic"):
            before, after = changes["none"], changes[post]
            answers.append(after["accuracy"] > before["accuracy"] and after["ece"] < before["ece"])
            right, error = (100 * (after[key] - before[key]) for key in ("accuracy", "ece"))
            lines.append(
                f"{AWABS.name(method)}, {after_training.WORDS[post]}: accuracy {right:+.1f}, error {error:+.1f}"
            )
    return Judgement(every(answers), f"{fixed}. In points: {'; '.join(lines)}.")


# --- the sentences ---------------------------------------------------------------------------------------------------


def _claim(name: str, source: str, text: str, judge: Judge, reading: str = "", of_data: bool = True) -> Claim:
    return Claim(name, text, f"{AWABS.id}, {source}", judge, reading, of_data)


CLAIMS = (
    _claim(
        "The long tail makes over-confident", "section 4.2",
        "Training networks on unbalanced datasets leads to extreme over-confidence", unbalanced_is_worse,
        "plain training has a larger calibration error on the long tail than on the balanced set, and (where "
        "confidence is known) at least five points more confidence than accuracy",
    ),
    _claim(
        "Everything is severely over-confident", "chapter 3",
        "one-stage models and two-stage models also suffer from severe over-confidence", severe,
        "confidence at least five points above accuracy for CE, LDAM-DRW, LADE, cRT, LWS and MiSLAS",
    ),
    _claim(
        "Method 2 is the best calibrated", "section 4.2",
        "Our suggested methods greatly improve network calibration", lowest,
        "Method 2 has the lowest error of all rows of Table 4.1",
    ),
    _claim(
        "Better than balanced training", "section 4.2",
        "delivering fewer Expected Calibration Errors (ECEs) than those using balanced datasets", below_balanced,
        "each of Methods 1 to 3 on the long tail below plain training on the balanced set, at factor 100",
    ),
    _claim(
        "Soft labels calibrate", "section 4.2",
        "training with rigid labels could potentially exacerbate network overconfidence", softening_helps,
        "Mixup below CE, cRT and LWS with Mixup below without, each proposed method below its own first stage",
    ),
    _claim(
        "Head and middle are more over-confident (actual)", "section 3.3",
        "Overconfidence is more common in head and middle classes than in tail classes",
        by_group("By actual class"),
        "CE, Mixup, cRT and LWS: confidence minus accuracy over the images whose class is in the group",
    ),
    _claim(
        "Head and middle are more over-confident (predicted)", "section 3.3",
        "Overconfidence is more common in head and middle classes than in tail classes",
        by_group("By predicted class"), "the same over the images that the network puts into the group",
    ),
    _claim(
        "ECE suffices", "section 1.3",
        "a practical and sufficient measure for assessing model calibration", sufficient,
        "the errors of head, middle and tail cancel by at most one point inside it",
    ),
    _claim(
        "Calibrating makes more accurate", "section 1.1",
        "By employing calibration methods, we can refine our model’s predictions to more closely match the real "
        "outcomes, resulting in greater accuracy and reliability", improves_accuracy,
        "a temperature and isotonic regression each raise accuracy and lower the error", of_data=False,
    ),
)  # fmt: skip
