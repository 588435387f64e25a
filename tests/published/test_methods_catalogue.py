"""The catalogue: every id is built, every method of the result tables is in it, nothing is left unexplained."""

from __future__ import annotations

import importlib

import pytest

from ltlib import experiment, losses, methods, mixing, published
from ltlib.batches import augment, samplers
from ltlib.calibration import posthoc
from ltlib.datasets import resampling
from ltlib.errors import UnknownName

RESOLVE = {
    "method": methods.stages,
    "mixing": mixing.create,
    "sampler": samplers.SAMPLERS.create,
    "resampling": resampling.RESAMPLERS.get,
    "augmentation": augment.create,
    "posthoc": lambda name: getattr(posthoc, name),
}
ROWS = published.methods().to_dict("records")


def name(row):
    return f"{row['document']}: {row['name']}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_row_is_built_and_importable_or_says_why_not(row):
    assert row["where"]
    if row["id"]:
        RESOLVE[row["kind"]](row["id"])
        importlib.import_module(f"ltlib.{row['module']}")
    else:
        assert (row["kind"], row["module"]) == ("", "")
        assert row["note"]


@pytest.mark.parametrize("document", published.documents())
def test_every_method_of_the_result_tables_is_there_once_and_resolves(document):
    printed = set(published.results(document)["method"]) - {""}
    rows = published.methods(document).to_dict("records")
    listed = [text for row in rows for text in row["published"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == printed
    for row in rows:
        for text in row["published"]:
            if row["id"]:
                assert methods.spec(text).name == methods.spec(row["id"]).name
                methods.stages(text)
            else:
                assert "cited study, not built" in row["note"]
                with pytest.raises(UnknownName):
                    methods.spec(text)


def test_documents_and_unknown_documents():
    assert {row["document"] for row in ROWS} == set(published.documents())
    assert set(published.methods("cefl")["document"]) == {"cefl"}
    with pytest.raises(UnknownName):
        published.methods("cefll")


def test_what_a_document_proposes_is_in_its_rows():
    built = {document: set(published.methods(document)["id"]) for document in published.documents()}
    assert {"cefl", "cefl2"} <= built["cefl"]
    assert {"awabs", "awabs_cutout", "awabs_cutmix", "awabs_cutthumbnail"} <= built["awabs"]
    assert {"loss_equalised", "prior_equalised"} <= built["loss_balance"]
    assert "supcon_ce" in built["convergent"]


def test_every_method_here_but_the_fields_own_comes_from_a_document():
    in_documents = {row["id"] for row in ROWS}
    own = set(methods.METHODS.names()) - in_documents
    sources = {text: methods.METHODS.get(text).source for text in own}
    assert all(sources.values())
    assert (
        experiment.Experiment(method="las").resolve().run_id
        == experiment.Experiment(method="label_aware_smoothing").resolve().run_id
    )
    assert set(losses.names()) & in_documents >= {"ce", "focal", "cefl", "cefl2", "ldam", "equalization", "lade"}
