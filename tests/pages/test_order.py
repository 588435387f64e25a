"""One reading order for everything, and pages that rest on another page's runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ltlib.cli import lists
from ltlib.errors import SettingError, UnknownName
from ltlib.pages import declared, order
from ltlib.pages.declared import Declared

ROOT = Path(__file__).parents[2]


def page(name: str, *after: str, **more) -> Declared:
    return Declared(id=name, notebook=name, after=after, **more)


def ids(pages) -> list[str]:
    return [p.id for p in pages]


def test_pages_follow_what_they_come_after():
    pages = [page("b"), page("a", "c"), page("c", "b"), page("d")]
    assert ids(order.in_order(pages)) == ["b", "c", "a", "d"]
    with pytest.raises(SettingError, match="in a circle: a, b"):
        order.in_order([page("a", "b"), page("b", "a"), page("c")])
    with pytest.raises(UnknownName, match="did you mean cefl"):
        order.in_order([page("a", "cefll"), page("cefl")])


def test_chapters_stay_together_in_the_order_of_the_documents_and_of_their_tables():
    pages = [
        page("awabs/b", tables=("4.10",), document="awabs"),
        page("awabs/c", tables=("4.9", "4.11"), document="awabs"),
        page("beyond/x"),
        page("cefl/a", "00", document="cefl", tables=("2",)),
        page("convergent/z", document="convergent"),  # without a table: after those with one
        page("convergent/y", document="convergent", tables=("10",)),
        page("convergent/x", document="convergent", tables=("9",)),
        page("01", "00"),
        page("00"),
    ]
    wanted = ["00", "01", "convergent/x", "convergent/y", "convergent/z", "awabs/c", "awabs/b", "cefl/a", "beyond/x"]
    assert ids(order.in_order(pages)) == wanted
    assert ids(order.in_order(pages[::-1])) == wanted


def test_the_readme_the_list_and_the_pages_have_one_order():
    known = ids(order.pages())
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed: list[str] = []
    for row in re.findall(r"^\| (`.*?`) \|", text.split("## The notebooks")[1].split("\n## ")[0], re.MULTILINE):
        names = re.findall(r"`([^`]+)`", row)
        chapter = names[0].rpartition("/")[0]
        listed += [names[0], *(f"{chapter}/{name}" for name in names[1:])]
    assert listed == known
    assert [line.split(":")[0] for line in lists._pages()] == known


def test_a_page_with_the_runs_of_an_earlier_one_is_its_twin_where_it_has_them():
    pages = order.pages()
    by_id = {p.id: p for p in pages}
    twins = {p.id: t.id for p in pages if (t := order.twin(p, pages, "quick")) is not None}
    assert twins == {"convergent/cifar100": "convergent/cifar10"}  # one set of digits stands in for both
    for profile in ("laptop", "paper"):
        assert all(order.twin(p, pages, profile) is None for p in pages)
    assert order.twin(by_id["convergent/cifar100"], pages[::-1], "quick") is None  # the other is the later one then
    assert order.twin(page("elsewhere", grids=("convergent/1",)), pages, "quick") is None


def test_numbers_sort_as_people_count():
    assert sorted(["5.10", "A.1", "5.9", "5"], key=order.natural) == ["5", "5.9", "5.10", "A.1"]
    assert len(declared.all_pages()) == len(order.pages())
