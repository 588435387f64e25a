"""What `awabs` says about calibration, judged by its own printed numbers and by ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltlib import published
from ltlib.chapters.awabs import AWABS
from ltlib.grids.awabs import PROPOSED, STAGE_1
from ltlib.pages.standing import Judgement
from ltlib.sections import claims, posthoc, rules
from ltlib.sections import groups as class_groups
from ltlib.sections.answers import Compared, every, most, together
from ltlib.sections.claims import Group, Judge, conclude, judging, ruled
from ltlib.sections.judges import above, across, needs, reaches
from ltlib.sections.world import Column, Key, Numbers, Value, Words, World, gathered
from ltlib.tables.scores import CLOSE, WORDS

if TYPE_CHECKING:
    from ltlib.runs import Run

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
Changes = Mapping[str, Mapping[str, Mapping[str, Any]]]
_ONE: list[Column] = [()]
"""The only column: one set at one imbalance factor."""

# --- what is measured ------------------------------------------------------------------------------------------------


def _called(method: str) -> str:
    return "plain training on balanced data" if method == BALANCED else AWABS.name(method)


def _number(quantity: str, value: float) -> str:
    forms = {
        "gap": f"{100 * value:+.1f} points",
        "group gap": f"{100 * value:+.0f} points",
        "hidden": f"{100 * value:.1f}",
    }
    return forms.get(quantity, f"{100 * value:.1f}%")


def _quantity(name: str) -> str:
    return "confidence minus accuracy" if name.endswith("gap") else WORDS.get(name, name)


READ_AS = Words(
    row=_called,
    head=lambda column, quantity: "",
    number=_number,
    part=lambda column: f"{column[-1]}",
    quantity=_quantity,
)


def printed() -> World:
    """CIFAR-100 at factor 100 from Tables 4.1 and 4.3 to 4.7, read literally; the first print of a number counts.

    Rows are the methods; `BALANCED` is plain training on the balanced set.
    """
    rows = published.results(AWABS.id)
    rows = rows[(rows["dataset"] == "cifar100") & rows["split"].eq("all") & rows["imbalance"].isin([1.0, 100.0])]
    values: dict[str, dict[Key, Value]] = {"ece": {}, "accuracy": {}}
    for row in rows.to_dict("records"):
        method = BALANCED if row["imbalance"] == 1 else row["method"]
        if row["stage"] == "1":
            method = STAGE_1[row["method"]]
        values[row["metric"]].setdefault((method,), Value(row["value"] / 100))
    return World({metric: Numbers(own) for metric, own in values.items()}, READ_AS)


def balanced(runs: Iterable[Run], found: Mapping[str, Sequence[Run]]) -> list[Run]:
    """Plain training on the balanced set among runs, where set and network are those of `found`."""
    setting = {(run.experiment.dataset, run.experiment.model) for own in found.values() for run in own}
    return [
        run
        for run in runs
        if run.experiment.imbalance_factor == 1
        and AWABS.row(run) == "ce"
        and (run.experiment.dataset, run.experiment.model) in setting
    ]


def ours(found: Mapping[str, Sequence[Run]], changes: Changes | None = None) -> World:
    """Our numbers.

    Besides `ece` and `accuracy`: ``gap``, confidence minus accuracy; ``group gap``, the same by kind of grouping and
    class group; ``hidden``, what the ECE leaves out; ``accuracy after`` and ``ece after`` post-hoc methods.

    Args:
        found: Runs of ``awabs/methods`` by method, and those of `balanced` as `BALANCED`.
        changes: What post-hoc methods change, by method, of `posthoc.means`.
    """
    own = [(method, run, run.predictions["selected"]) for method, runs in found.items() for run in runs]
    selected = {
        metric: gathered([((method,), run.metrics["selected"][metric]) for method, run, _ in own], CLOSE[metric])
        for metric in ("ece", "accuracy")
    }
    gaps = [((method,), float(p.confidence.mean() - (p.predicted == p.targets).mean())) for method, _, p in own]
    by_group = [
        ((kind, group, method), gap)
        for method, run, _ in own
        for kind, methods in class_groups.group_gaps(AWABS, {method: run}).items()
        for own_groups in methods.values()
        for group, gap in own_groups.items()
    ]
    hidden = [((method,), class_groups.hidden(run)) for method, run, _ in own]
    after = {
        f"{metric} after": gathered(
            (
                ((post, method), row[metric])
                for method, own_changes in (changes or {}).items()
                for post, row in own_changes.items()
            ),
            CLOSE[metric],
        )
        for metric in ("ece", "accuracy")
    }
    more = {"gap": gathered(gaps, CLOSE["ece"]), "group gap": gathered(by_group, CLOSE["ece"])}
    return World({**selected, **more, "hidden": gathered(hidden, CLOSE["ece"]), **after}, READ_AS, ours=True)


# --- judges ----------------------------------------------------------------------------------------------------------


@judging(
    "plain training: a larger ECE on the long tail than on the balanced set, and confidence at least "
    f"{rules.points(SEVERE)} above accuracy"
)
def unbalanced_is_worse(world: World) -> Iterator[Group]:
    """Plain training: a larger error on the long-tailed set than on the balanced one; ours also above its accuracy."""
    compared = [world.better("ece", (BALANCED,), ("ce",))]
    line = world.line("ece", (), [BALANCED, "ce"])
    gap = world.numbers("gap")
    if ("ce",) in gap:
        compared.append(Compared(gap.at_least(("ce",), SEVERE), True, gap.runs(("ce",))))
        line += f"; confidence minus accuracy of CE {world.said('gap', ('ce',))}"
    yield compared, line


@ruled(f"for most of {len(LEARNT)} methods confidence at least {rules.points(SEVERE)} above accuracy")
def severe(world: World) -> Judgement:
    """Confidence at least five points above accuracy for most methods; in print a smaller error refutes one."""
    if world.ours:
        return reaches("gap", SEVERE, [(method,) for method in LEARNT], rule=most)(world)
    errors = world.numbers("ece")  # |confidence - accuracy| is at most the ECE
    low = [method for method in LEARNT if (method,) in errors and errors[method,] < SEVERE]
    rest = "A calibration error has no side, so a large one decides nothing"
    said = world.line("ece", (), low) if low else "none here"
    answer = most(False if method in low else None for method in LEARNT)
    return Judgement(answer, f"{rest}; a small one refutes it for its method: {said}.")


def by_group(kind: str) -> Judge:
    """Head and middle classes are more over-confident than tail classes, for every network in `HARD`."""
    groups = [(kind, group) for group in ("head", "middle", "tail")]
    judge = across({"": groups}, [(0, 2), (1, 2)], HARD, "group gap", rule=most)
    return needs("group gap", "confidence by class group", judge)


HIDDEN = 0.01
"""What ECE may hide and still be sufficient: one point."""


@judging(f"for each method the errors of head, middle and tail cancel by at most {rules.points(HIDDEN)} inside the ECE")
def sufficient(world: World) -> Iterator[Group]:
    """No method's groups cancel by more than a point inside the ECE of all images."""
    hidden = world.numbers("hidden")
    for method in world.ranked("hidden", (), world.rows("hidden", ())):
        said = f"{_called(method)} hides {world.said('hidden', (method,))} of {world.said('ece', (method,))}"
        key = (method,)
        yield [Compared(hidden.at_most(key, HIDDEN), True, hidden.runs(key))], said


@ruled("in most cases a temperature or isotonic regression raises the accuracy and lowers the error")
def improves_accuracy(world: World) -> Judgement:
    """Temperature scaling and isotonic regression: each makes most networks more accurate and better calibrated."""
    fixed = "A temperature changes no predicted class, so no accuracy"
    right, error = world.numbers("accuracy after"), world.numbers("ece after")
    if not world.ours:
        return Judgement(None, "The document calibrates nothing after training.")
    if not right.values:
        return Judgement(False, f"{fixed}.")
    groups: list[Group] = []
    for method in dict.fromkeys(key[-1] for key in right.values):
        for post in (posthoc.SCALED, "isotonic"):
            before, after = ("none", method), (post, method)
            both = [right.compare(after, before), error.compare(before, after)]
            found = Compared(False, True) if post == posthoc.SCALED else together(every, both)  # no run can gain by one
            gain, change = (own[after] - own[before] for own in (right, error))
            words = f"{AWABS.name(method)}, {posthoc.WORDS[post]}"
            groups.append(([found], f"{words}: accuracy {100 * gain:+.1f}, error {100 * change:+.1f} points"))
    found_ = conclude(groups, most)
    return found_._replace(evidence=f"{fixed}. {found_.evidence}")


# --- the sentences ---------------------------------------------------------------------------------------------------

_claim = claims.of(AWABS.id)

CLAIMS = (
    _claim("The long tail makes over-confident", unbalanced_is_worse()),
    _claim("One and two stages are severely over-confident", severe),
    _claim("The proposed methods improve calibration", above([(method, "ce") for method in PROPOSED], _ONE, ["ece"])),
    _claim(
        "Better than balanced training",
        above([(method, BALANCED) for method in PROPOSED], _ONE, ["ece"], shown=(BALANCED, *PROPOSED)),
    ),
    _claim("Soft labels calibrate", above(SOFT, _ONE, ["ece"], most)),
    _claim("Head and middle are more over-confident (actual)", by_group("By actual class")),
    _claim("Head and middle are more over-confident (predicted)", by_group("By predicted class")),
    _claim("ECE suffices", needs("hidden", "error by class group", sufficient())),
    _claim("Calibrating makes more accurate", improves_accuracy, of_data=False),
)
