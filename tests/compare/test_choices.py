"""The choices of a comparison: as a notebook's text, and as the command that repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import tyro
from PIL import Image

from ltlib import models, plugins, sealed
from ltlib.cli.compare import Compare
from ltlib.compare import choices, comparison, experiments
from ltlib.compare.choices import Choices
from ltlib.errors import DataError, SettingError

ODD = "my photos; $(touch x) [a]=b @32 #1, 'it''s'"


def folder(top: Path, count: int = 6) -> Path:
    for place, name in enumerate(("ash", "oak")):
        (top / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (9, 9), (40 * i, 100 * place, 7)).save(top / name / f"{i}.png")
    return top


def test_text_and_back() -> None:
    wanted = Choices(
        "p",
        "as-is",
        methods=("focal[alpha=0.5;gamma=2]", "ce + prior"),
        own=("mine",),
        splits=4,
        backbone="resnet18[stem=imagenet;weights=/a b/c.pth]",
        weights="/x y.pth",
        full=True,
        skip=("parts", "model"),
    )
    assert choices.read("p", "as-is", wanted.text()) == wanted
    assert choices.read("p", "balanced", "") == Choices("p")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("metods=ce", "no choice"), ("splits=ten", "a number"), ("skip=autid", "'autid' is no step")],
)
def test_what_is_no_choice(text: str, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        choices.read("p", "balanced", text)


def test_the_command_repeats_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed by a shell and by the command line, from another folder, it plans the same trainings."""
    network = models.create("efficientnet_lite0[size=tiny]", 2, seed=3)
    sealed.write_tensors(tmp_path / "w; 1.safetensors", network.backbone.state_dict())
    (tmp_path / "w; 1.safetensors").rename(tmp_path / "w 1.safetensors")
    folder(tmp_path / ODD)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs, 1.csv").write_text("ash,2\noak,1\n")
    asked = Choices(
        ODD,
        "costs, 1.csv",
        methods=("ce + prior", "focal[gamma=3.0]"),
        splits=2,
        backbone="efficientnet_lite0[size=tiny]",
        weights="w 1.safetensors",
        skip=("report",),
    )
    made = comparison.prepare(asked)
    said = choices.command(made)
    monkeypatch.chdir("/")
    words = shlex.split(said)
    assert words[:3] == ["ltlib", "compare", str(tmp_path / ODD)]
    again = tyro.cli(Compare, args=words[2:]).choices()
    assert comparison.prepare(again).planned == made.planned
    assert [one.name for one in comparison.prepare(again).tried] == ["ce", "ce + prior", "focal[gamma=3.0]"]
    assert (again.target, again.skip) == (str(tmp_path / "costs, 1.csv"), ("report",))


def test_the_command_names_plugins_and_what_stood_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise DataError("the weights are missing")

    monkeypatch.setattr(experiments.weight_files, "read", missing)
    monkeypatch.setattr(plugins, "environment", lambda: {"LTLIB_PLUGINS": "/a/my loss.py:other"})
    said = choices.command(comparison.prepare(Choices(str(folder(tmp_path / "set")), splits=2, methods=("focal",))))
    assert "--backbone resnet8" in said
    assert said.endswith("--plugin '/a/my loss.py' other --full")
    again = tyro.cli(Compare, args=shlex.split(said)[2:]).choices()
    assert experiments.front(again.backbone, again.full).model == "resnet8"


def test_weights_that_no_setting_holds() -> None:
    with pytest.raises(SettingError, match="another name"):
        experiments.front("efficientnet_lite0", weights="/a[1].pth")
    with pytest.raises(SettingError, match="names its weights already"):
        experiments.front(experiments.USUAL, weights="/a.pth")


def test_without_an_audit_the_set_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltlib.compare.usable.look", lambda *_, **__: pytest.fail("it was looked at"))
    top = folder(tmp_path / "set")
    made = comparison.prepare(Choices(str(top), splits=2, backbone="resnet8", full=True, skip=("audit",)))
    assert made.audit is None
    assert made.dataset == f"folder:{top}/@32"


def test_the_search_for_parts_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltlib.audit.crops.find", lambda *_: pytest.fail("parts were looked for"))
    monkeypatch.setattr("ltlib.audit.crops.SMALLEST", 1)
    top = str(folder(tmp_path / "set"))
    made = comparison.prepare(Choices(top, splits=2, backbone="resnet8", full=True, skip=("parts",)))
    assert made.audit is not None
    assert "as was asked" in next(f.sentence for f in made.audit.findings if f.kind == "not_looked_for")
