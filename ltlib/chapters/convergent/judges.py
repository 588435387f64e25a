"""The worlds that the claims of `convergent` are asked about, and the judges of its own sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ltlib import models
from ltlib.chapters.convergent import CONVERGENT
from ltlib.chapters.convergent.tables import METHODS, NETWORKS
from ltlib.labels import label
from ltlib.pages.standing import Judgement
from ltlib.sections import judges, rules, world
from ltlib.sections.answers import Rule, every, turned
from ltlib.sections.claims import Group, Judge, judging, ruled
from ltlib.sections.study import named
from ltlib.sections.world import Key, Numbers, Words, World
from ltlib.tables import scores

if TYPE_CHECKING:
    import pandas as pd

    from ltlib.runs import Run
    from ltlib.runs.features import Space

SCORES = ("precision", "recall", "f1", "accuracy")
CLOSE = scores.CLOSE["accuracy"]
COLUMNS = ("dataset", "model")
COMPARABLE = 0.02
"""What "comparable" and "competes closely" are read as: at most two points behind."""
ADEQUATE = 0.05
"""What "adequately" and "competitive" are read as: at most five points behind the best network."""
TRAIN_GAP = "training minus test accuracy in points"

# --- what is measured ------------------------------------------------------------------------------------------------


def printed(frame: pd.DataFrame) -> World:
    """The document's numbers; it prints one imbalance, and no features. `frame` holds Tables 1 to 9."""
    return world.printed(frame, COLUMNS, _words({}))


def ours(frame: pd.DataFrame, profile: str, **others: Numbers) -> World:
    """Our numbers of a profile; `others` are `gaps` as ``gap``, `by_factor` as ``factor``, `silhouettes`."""
    ran = frame.loc[frame["n"] > 0, list(COLUMNS)].drop_duplicates().itertuples(index=False, name=None)
    names = {column: named(profile, *column) for column in ran}
    return world.ours(frame, COLUMNS, _words(names), dict.fromkeys(SCORES, CLOSE), others)


def _words(names: Mapping[Key, tuple[str, str]]) -> Words:
    """Columns are called by what stands in for their data and network, where that was run."""

    def name(column: Key) -> tuple[str, str]:
        return names.get(column, (label(column[0]), label(column[-1])))

    def head(column: Key, quantity: str) -> str:
        if quantity == "silhouette":
            return f"silhouette of the test features, {column[0]} classes"
        place = " on ".join(reversed(name(column)))
        what = {"accuracy": "", "gap": f"{TRAIN_GAP}, "}.get(quantity, f"{label(quantity)}, ")
        return f"{what}{place}"

    def number(quantity: str, value: float) -> str:
        return f"{100 * value:.1f}" if quantity == "gap" else f"{value:.{2 if quantity == 'silhouette' else 3}f}"

    def quantity(name: str) -> str:
        return {"gap": "training minus test accuracy", "factor": "accuracy", "f1": "F1"}.get(name, name)

    return Words(head=head, number=number, part=lambda column: name(column)[1], quantity=quantity)


def gaps(frame: pd.DataFrame, runs: Iterable[Run]) -> Numbers:
    """Training minus test accuracy at the selected epoch, by the cells that the runs fill."""
    own: dict[str, float] = {}
    for run in runs:
        row = run.history[run.history["epoch"] == run.metrics["selected"]["epoch"]].iloc[-1]
        own[run.id] = float(row["train_accuracy"] - row["test_accuracy"])
    rows = frame[frame["metric"] == "accuracy"].to_dict("records")
    found = [((r["dataset"], r["model"], r["method"]), own[i]) for r in rows for i in r["run_ids"] if i in own]
    return world.gathered(found, CLOSE)


def by_factor(runs: Iterable[Run]) -> Numbers:
    """Accuracy by imbalance factor and method."""
    found = [
        ((run.experiment.imbalance_factor, CONVERGENT.row(run)), run.metrics["selected"]["accuracy"]) for run in runs
    ]
    return world.gathered(found, CLOSE)


def silhouettes(spaces: Mapping[str, Space]) -> Numbers:
    """Silhouettes of feature spaces over all and over the tail classes, by method; told apart from 0.02 on."""
    found = [(("all", method), space.scores["silhouette"]) for method, space in spaces.items()]
    found += [(("tail", method), space.tail["silhouette"]) for method, space in spaces.items() if space.tail]
    return world.gathered(found, 0.02)


# --- judges ----------------------------------------------------------------------------------------------------------

above = partial(judges.above, shown=METHODS)


def columns(datasets: Sequence[str], networks: Sequence[str] = NETWORKS) -> list[tuple[str, str]]:
    """The tables of these sets and networks."""
    return [(dataset, network) for dataset in datasets for network in networks]


def best_of(dataset: str, network: str, method: str) -> Judge:
    """No other pair of network and method of a set is above this one."""
    return judges.best_overall((dataset, network, method), columns([dataset]), METHODS)


def network_above(
    network: str,
    datasets: Sequence[str],
    methods: Sequence[str] = METHODS,
    within: float | None = None,
    rivals: Sequence[str] = NETWORKS,
    rule: Rule = every,
) -> Judge:
    """A network is above the others for every method; with `within`, at most so far behind."""
    place = NETWORKS.index(network)
    pairs = [(place, i) for i, other in enumerate(NETWORKS) if other in rivals and i != place]
    return _by_network(datasets, pairs, methods, within, rule)


def deeper_is_better(datasets: Sequence[str], rule: Rule = every) -> Judge:
    """Accuracy grows from each network to the next deeper one, for every method."""
    return _by_network(datasets, [(1, 0), (2, 1)], METHODS, None, rule)


def _by_network(
    datasets: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    methods: Sequence[str],
    within: float | None,
    rule: Rule,
) -> Judge:
    by_set = {label(name): columns([name]) for name in datasets}
    return judges.across(by_set, pairs, methods, within=within, rule=rule)


@judging(
    f"SupCon + CE and CE at most {rules.points(CLOSE)} apart with ResNet-18 and ResNet-50; "
    f"with ResNet-34 SupCon + CE more than that and at most {rules.points(ADEQUATE)} behind"
)
def supcon_on_cifar100(found: World) -> Iterator[Group]:
    """Comparable to CE with ResNet-18 and ResNet-50, slightly behind with ResNet-34."""
    for network in NETWORKS:
        own, other = ("cifar100", network, "supcon_ce"), ("cifar100", network, "ce")
        near = [found.better("accuracy", *order, CLOSE) for order in ((own, other), (other, own))]
        if network == "resnet34":
            near = [turned(near[0]), found.better("accuracy", own, other, ADEQUATE)]
        yield near, found.line("accuracy", own[:2], METHODS)


@ruled("a deeper network takes more multiply-accumulates")
def costs(found: World) -> Judgement:
    """Deeper networks take more multiply-accumulates. Counted from the networks, the same in every profile."""
    if not found.ours:
        return Judgement(None, "The document prints neither parameters nor times.")
    built = {name: models.create(name, 10) for name in NETWORKS}
    macs = {name: models.macs(network, 10, 32) for name, network in built.items()}
    said = [
        f"{label(name)} {models.parameter_count(network) / 1e6:.1f} million parameters, {macs[name] / 1e9:.2f} billion "
        "multiply-accumulates an image"
        for name, network in built.items()
    ]
    return Judgement(list(macs.values()) == sorted(macs.values()), f"{'; '.join(said)} (32x32 pixels).")
