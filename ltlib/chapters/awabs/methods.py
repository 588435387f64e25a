"""The page `awabs/methods`: the methods as they are trained here, drawn, and what the document leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ltlib import grids, published
from ltlib.chapters.awabs import AWABS
from ltlib.experiment import Resolved
from ltlib.grids import awabs as grid
from ltlib.labels import label
from ltlib.methods import Stage
from ltlib.plots import Chart
from ltlib.plots.diagrams import Box
from ltlib.recipes import Recipe
from ltlib.sections.words import many

if TYPE_CHECKING:
    import pandas as pd


_LOSSES = {"balanced_softmax": "balanced softmax", "awabs": "AWABS"}
_MIXES = {"cutout": "CutOut", "cutmix": "CutMix", "cut_thumbnail": "Cut-Thumbnail"}


# --- the methods as they are trained ---------------------------------------------------------------------------------


def trained(profile: str, method: str = "awabs_cutmix") -> Any:
    """The experiment that a profile trains for a proposed method in the chapter's own comparisons."""
    wanted, _ = grids.experiments(f"{AWABS.id}/methods", profile)
    return next(one for one in wanted if one.method.partition("[")[0] == method)


def _parts(profile: str, method: str) -> Resolved:
    return trained(profile, method).resolve()


def stage_epochs(profile: str, method: str = "awabs_cutmix") -> tuple[int, int]:
    """The epochs of both stages of a proposed method in a profile."""
    made = _parts(profile, method)
    return made.epochs(0), made.epochs(1)


def _mixing(stage: Stage) -> str:
    return "no mixing" if stage.mix is None else _MIXES.get(stage.mix.name, label(stage.mix.name))


def _trains(stage: Stage) -> str:
    parts = [part for part in ("backbone", "classifier") if part in stage.lr]
    if parts == ["classifier"]:
        return "the classifier alone"
    return "the batch statistics alone" if not parts else " and ".join(parts)


def framework(profile: str) -> Chart:
    """Figure 3.1: the two stages of proposed method 2, from the data that the training reads."""
    from ltlib.plots import diagrams

    made = _parts(profile, "awabs_cutmix")
    first, second = made.stages
    mixes = " / ".join(_mixing(_parts(profile, method).stages[0]) for method in grid.PROPOSED)
    smoothing = second.loss.settings if second.loss else {}
    again = many(made.epochs(1), "epoch")
    light, warm = "#E8F1F8", "#FBEDE3"
    boxes = {
        "images": Box("long-tailed\ntraining images", (0.55, 0.5), (0.9, 0.62), "#F1F1F1"),
        "mix": Box(mixes.replace(" / ", "\n/ "), (1.75, 0.5), (0.9, 0.78), light),
        "first": Box(f"backbone and\nclassifier,\n{made.epochs(0)} epochs", (2.95, 0.5), (0.9, 0.78), light),
        "loss": Box(f"{_loss(first)}\nloss", (4.15, 0.5), (0.9, 0.62), light),
        "images2": Box("the same images,\n" + _mixing(second), (0.55, 1.75), (0.9, 0.62), "#F1F1F1"),
        "backbone": Box("its backbone,\n" + ("frozen" if "backbone" not in second.lr else "trained"), (1.75, 1.75),
                        (0.9, 0.62), "#F1F1F1" if "backbone" not in second.lr else warm),
        "second": Box(f"its classifier,\n{again},\nrate x {second.lr['classifier']:g}",
                      (2.95, 1.75), (0.9, 0.78), warm),
        "awabs": Box(f"{_loss(second)} loss,\nepsilon {smoothing.get('epsilon_head', 0):g} to "
                     f"{smoothing.get('epsilon_tail', 0):g}", (4.15, 1.75), (0.9, 0.62), warm),
        "out": Box("accuracy,\nECE,\nby group", (5.2, 1.75), (0.72, 0.78), "#F1F1F1"),
    }  # fmt: skip
    arrows: list[tuple[str, str]] = [("images", "mix"), ("mix", "first"), ("first", "loss"), ("first", "second"),
              ("images2", "backbone"), ("backbone", "second"), ("second", "awabs"), ("awabs", "out")]  # fmt: skip
    return diagrams.framework(boxes, arrows, row_height=0.95, title="Stage 1 (above), stage 2 (below)")


def _loss(stage: Stage) -> str:
    return "" if stage.loss is None else _LOSSES.get(stage.loss.name, label(stage.loss.name))


def algorithm(profile: str) -> Chart:
    """Algorithms 1 to 3 as one: they differ in a single line. From the data that the training reads."""
    from ltlib.plots import diagrams

    made = _parts(profile, "awabs_cutmix")
    (first, second), recipe = made.stages, made.recipe
    mixes = [_mixing(_parts(profile, method).stages[0]) for method in grid.PROPOSED]
    each = ", ".join(f"{mix} [{number}]" for number, mix in enumerate(mixes, 1))
    smoothing = second.loss.settings if second.loss else {}
    epsilons = f"{smoothing['form']}, epsilon {smoothing['epsilon_head']:g} to {smoothing['epsilon_tail']:g}"
    lines = [
        "input: long-tailed training images and n, the images of each class",
        f"for each of {made.epochs(0)} epochs of stage 1:",
        f"    for each batch of {recipe.batch_size} images, {label(first.sampler.name)}:",
        f"        images = mix(images) with {each}",
        f"        loss = {_loss(first)}(model(images), labels, n)",
        f"        step on {_trains(first)}, {recipe.schedule} schedule from {recipe.lr:g}",
        f"for each of {made.epochs(1)} epochs of stage 2:",
        f"    for each batch of {recipe.batch_size} images, {label(second.sampler.name)}, {_mixing(second)}:",
        f"        loss = {_loss(second)}(model(images), labels, n); {epsilons}",
        f"        step on {_trains(second)}, {second.schedule or recipe.schedule} schedule from "
        f"{recipe.lr * second.lr['classifier']:g}",
        "output: accuracy and ECE of softmax(model(images)) on balanced test images",
    ]
    return diagrams.algorithm(lines, title="Algorithms 1-3: proposed methods 1, 2 and 3")


def not_stated(profile: str) -> pd.DataFrame:
    """Settings that the document marks as not stated, and what is taken here."""
    import pandas as pd

    rows = published.protocols(AWABS.id)
    silent = rows[(rows["value"] + rows["note"]).str.contains("not stated")]
    chosen = _chosen(profile)
    found = []
    for row in silent.to_dict("records"):
        if row["key"] == "hardware":
            continue
        of = "" if row["experiment"] == "all" else f", {AWABS.short(row['experiment']).lower()}"
        here, source = chosen[row["experiment"], row["key"]]
        says = "not stated" if row["value"] == "not stated" or of else "not stated which"
        setting = row["key"].replace("_stage1", " of stage 1").replace("_stage2", " of stage 2").replace("_", " ")
        setting = setting.replace("stage1 augmentation", "patches").replace("epsilon 1, epsilon K", "epsilons")
        found.append({"setting": setting + of, "here": here, "from": source, "the document": says})
    return pd.DataFrame(found)


def _chosen(profile: str) -> dict[tuple[str, str], tuple[str, str]]:
    """What is taken for each setting that is not stated, and whose it is."""
    made = _parts(profile, "awabs_cutmix")
    second, recipe = made.stages[1], made.recipe
    form = second.loss.settings["form"] if second.loss else ""
    ours = {
        ("all", "learning_rate"): (f"{recipe.lr:g}, warm-up {many(recipe.warmup_epochs, 'epoch')}", "LDAM-DRW"),
        ("all", "epochs_stage1"): (f"{made.epochs(0)}, of {Recipe().epochs} in the recipe", "LDAM-DRW"),
        ("all", "epochs_stage2"): (f"{made.epochs(1)} after {made.epochs(0)}", "MiSLAS"),
        ("all", "batch_size"): (str(recipe.batch_size), "LDAM-DRW"),
        ("all", "weight_decay"): (f"{recipe.weight_decay:g}", "LDAM-DRW"),
        ("all", "smoothing_function"): (str(form), "MiSLAS"),
        ("all", "epsilon_1, epsilon_K"): ("by set and factor, listed below", "MiSLAS"),
    }
    for method in grid.PROPOSED:
        mix = _parts(profile, method).stages[0].mix
        said = ", ".join(_said(key, value) for key, value in mix.settings.items()) if mix is not None else ""
        ours[method, "stage1_augmentation"] = (said, "its paper or code")
    return ours


def _said(key: str, value: Any) -> str:
    if key == "per_sample":
        return "a patch an image" if value else "one patch a batch"
    return f"{ {'prob': 'probability', 'scale': 'side'}.get(key, key) } {value:g}"


def contradicted(profile: str) -> pd.DataFrame:
    """What a reader needs to know of stage 2, and no line of the document says, or two say differently."""
    import pandas as pd

    second = _parts(profile, "awabs_cutmix").stages[1]
    rates = sorted(
        {grid.settings(dataset, factor)["lr"] for dataset in ("cifar10", "cifar100") for factor in (10, 50, 100)}
    )
    rows = (
        ("parts trained in stage 2", _trains(second), "section 3", "Algorithms 1-3 freeze nothing"),
        ("batches of stage 2", label(second.sampler.name), "Algorithms 1-3", "names no sampler"),
        ("batch statistics in stage 2", "left as they are", "Algorithms 1-3", "abstract: shifted"),
        ("rate of stage 2", f"{rates[0]:g} to {rates[-1]:g} of the first, cosine", "MiSLAS", "not stated"),
        ("augmentation in stage 2", _mixing(second), "Algorithms 1-3", "section 3.2 has it there"),
        ("test-time prediction", "softmax without the class prior", "balanced softmax", "not stated"),
    )
    return pd.DataFrame(rows, columns=["setting", "here", "from", "the document"])
