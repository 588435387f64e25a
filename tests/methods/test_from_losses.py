"""Every classification loss is a method, with the ids the documents' tables use."""

from __future__ import annotations

import pytest

import ltlib
from ltlib import losses, methods, published
from ltlib.errors import SettingError, UnknownName
from ltlib.methods import METHODS, Stage, from_losses, one_stage

CLASSIFICATION = [n for n in losses.names() if not losses.create(n, [5, 3]).contrastive]
ADDED = [name for name in CLASSIFICATION if name not in ("ce", "focal")]


@pytest.mark.parametrize("name", ADDED)
def test_every_loss_is_a_method_of_one_stage_with_the_losss_settings(name):
    (stage,) = methods.stages(name)
    assert stage.loss == losses.spec(name)
    settings = dict(methods.spec(name).settings)
    settings.pop("classifier", None)
    assert settings == losses.spec(name).settings
    expected = Stage(loss=losses.spec(name), classifier="cosine" if name.startswith("ldam") else "keep")  # type: ignore[arg-type]
    assert stage == expected
    entry = METHODS.get(name)
    assert entry.summary.endswith(".")
    assert entry.source


def test_the_methods_that_were_there_are_as_they_were():
    assert METHODS.get("ce").factory is one_stage.ce
    assert METHODS.get("focal").factory is one_stage.focal
    assert methods.stages("ce") == (Stage(loss=losses.spec("ce")),)


@pytest.mark.parametrize("document", ["convergent", "architectures", "cefl", "loss_balance", "awabs"])
def test_the_losses_named_in_a_documents_tables_are_methods(document):
    names = {
        str(method)
        for table in published.tables(document)
        for method in published.table(document, table)["method"].dropna()
        if method
    }
    of_losses = {name for name in names if name.partition("[")[0] in {*CLASSIFICATION, "cbce", "las"}}
    # what the tables cite of other work, with settings of their own
    for name in of_losses - {
        "bce[procedure=a3]",
        "ce[optimizer=pugd;regime=end_to_end]",
        "ce[optimizer=pugd;regime=fine_tuning]",
    }:
        assert methods.stages(name)
    wanted = {
        "convergent": {"ce", "focal"},
        "architectures": {"balanced_softmax", "class_balanced", "equalization", "ldam", "weighted_ce"},
        "cefl": {"cefl[gamma=1]", "cefl2[gamma=5]", "focal[alpha=0.75;gamma=0.5]"},
        "loss_balance": {"loss_equalised", "prior_equalised"},
        "awabs": {"cbce", "las", "lade", "ldam_drw"},
    }[document]
    assert wanted <= of_losses


def test_spellings_of_one_method_are_one():
    assert methods.spec("cbce[beta=0.9]") == methods.spec("class_balanced[beta=0.9]")
    assert methods.stages("cefl[gamma=1]") == methods.stages("cefl[gamma=1.0]")
    assert methods.stages("las") == methods.stages("label_aware_smoothing")
    assert methods.stages("lade[test_prior=1+2+3]")[0].loss.settings["test_prior"] == (1, 2, 3)
    assert methods.stages("class_balanced[normalise=none]")[0].loss.settings["normalise"] is None


def test_identities_differ_where_settings_do():
    ids = {
        ltlib.Experiment(dataset="digits", imbalance_factor=20, model="resnet8", method=method).run_id
        for method in (
            "vs",
            "vs[gamma=0.1]",
            "ldam",
            "ldam[classifier=linear]",
            "ldam[classifier=linear;scale=1]",
            "ldam_drw",
        )
    }
    assert len(ids) == 6


def test_ldam_has_both_classifiers():
    assert methods.stages("ldam")[0].identity()["classifier"] == "cosine"
    assert "classifier" not in methods.stages("ldam[classifier=linear]")[0].identity()
    with pytest.raises(SettingError, match="cosine or linear"):
        methods.stages("ldam_drw[classifier=lws]")


@pytest.mark.parametrize(
    "wrong",
    ["vs[gamma=-1]", "class_balanced[beta=1]", "awabs[epsilon_head=0.6]", "equalization[gamma=2]", "ldam[scale=0]"],
)
def test_wrong_settings_are_refused_without_data(wrong):
    with pytest.raises(SettingError):
        methods.stages(wrong)


def test_unknown_settings_name_the_nearest():
    with pytest.raises(UnknownName, match="did you mean tau"):
        methods.spec("vs[taus=1]")
    assert set(from_losses.ALIASES) <= set(METHODS.names())
