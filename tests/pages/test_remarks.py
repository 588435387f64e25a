"""What a close reading found is told in full once, and linked from everywhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ltlib.pages import order, remarks
from ltlib.pages.declared import Declared
from ltlib.pages.page import Page

PAGES = {page.id: page for page in order.pages()}


@pytest.fixture
def told(tmp_path: Path, monkeypatch):
    """What the calls of several pages show, as pairs of full points and links."""
    monkeypatch.setenv("LTLIB_REPORTS", str(tmp_path))

    def tell(name: str | Declared, *calls: dict) -> tuple[list[str], list[str]]:
        declared = PAGES[name] if isinstance(name, str) else name
        monkeypatch.setenv("LTLIB_PAGE_FOLDER", str((tmp_path / "quick" / declared.id).parent))
        page, seen = Page(declared, "quick"), []
        monkeypatch.setattr(page, "show", seen.append)
        for call in calls:
            page.notes(declared.document, **call)
        html = "".join(shown.html for shown in seen)
        return re.findall(r'<li id="([^"]+)"', html), re.findall(r'href="([^"]+)"', html)

    return tell


def test_a_point_of_several_tables_is_told_beside_the_first_and_linked_from_the_others(told):
    # by published/data/inconsistencies.csv: 3 names Table 1; 4 names 1, 2, 3; 11 names 1 to 6; 13 names 1;
    # 19 names 1 and 3
    full, links = told("convergent/cifar10", {"table": "1"}, {"table": "2"}, {"table": "3"})
    assert full == [f"source-convergent-{n}" for n in (3, 4, 11, 13, 19)]
    assert links == [f"#source-convergent-{n}" for n in (4, 11, 4, 11, 19)]


def test_a_point_that_an_earlier_page_tells_is_linked_there(told):
    # 14 names 4, 7, 8, 9: the page of Table 4 comes first
    full, links = told("convergent/butterfly", {"table": "7"})
    assert full == [f"source-convergent-{n}" for n in (6, 7, 8)]
    assert links == ["cifar100.html#source-convergent-14"]
    full, links = told("01_long_tails", {"figure": "2"})
    assert (full, links) == ([], ["convergent/cifar10.html#source-convergent-13"])


def test_no_point_is_told_twice_on_the_pages_that_call_for_their_tables(told):
    everything: list[str] = []
    for page in PAGES.values():
        if page.document:
            everything += told(page.id, *({"table": number} for number in page.tables))[0]
    assert len(everything) == len(set(everything))
    assert {"source-convergent-14", "source-awabs-8", "source-awabs-17"} <= set(everything)


def test_a_cell_run_again_tells_its_points_again(told):
    full, links = told("convergent/cifar10", {"table": "2"}, {"table": "2"})
    assert full == ["source-convergent-4", "source-convergent-11"] * 2
    assert links == []


def test_points_by_number_and_without_a_page_are_told_where_they_are_asked_for(told):
    assert told("awabs/methods", {"numbers": (18, 23)}) == (["source-awabs-18", "source-awabs-23"], [])
    elsewhere = Declared(id="own/x", document="architectures")
    full, links = told(elsewhere, {"table": "5.6"})
    assert full
    assert links == []
    others = [page for page in PAGES.values() if page.document != "architectures"]
    assert remarks.home(remarks.points("architectures", table="5.6")[0], others) is None
