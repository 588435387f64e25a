"""One source read: what it uses of a package, and when two mean the same."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from ltlib.pages.source import Source


def read(text: str, inside: str = "toy", summaries: bool = False) -> Source:
    return Source(ast.parse(dedent(text)), "toy", inside, summaries)


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("import toy.a.b", {"toy.a.b"}),
        ("import toy.a.b\ntoy.a.b.f(toy.c)", {"toy.a.b.f", "toy.c"}),
        ("import toy.a as x\nx.y", {"toy.a.y"}),
        ("from toy import a, b as c\na.f()\nc.g.h()", {"toy.a.f", "toy.b.g.h"}),
        ("from toy.a import f\nf(1).b", {"toy.a.f"}),
        ("from . import a\na", {"toy.sub.a"}),
        ("from .. import a\na", {"toy.a"}),
        ("from ..a import f\nf", {"toy.a.f"}),
        ("from toy.a import *", {"toy.a"}),
        ("def g():\n  from toy import a\n  class C:\n    x = a.y", {"toy.a.y"}),
        ("from toy import a\ndef g():\n  from toy.b import c as a\n  a.x", {"toy.a.x", "toy.b.c.x"}),
        ("from toy import a\nasync def g(x: a.T, y=a.d) -> a.T: ...", {"toy.a.d"}),
        ("from toy import a\nclass C:\n  x: a.T\n  y: int = a.n", {"toy.a.n"}),
        ("from toy.a import T\ndef g(x: T): ...", set()),
        ("@toy.a\ndef g(): ...\nimport toy", {"toy.a"}),
        ("import toys, os\nfrom toys import a\nfrom os import path", set()),
        ("import typing\nif typing.TYPE_CHECKING:\n  from toy import a\nelse:\n  from toy import b", {"toy.b"}),
    ],
)
def test_what_a_source_uses(text: str, uses: set[str]):
    assert read(text, inside="toy.sub").uses == uses


def test_names_for_type_checkers_say_where_they_come_from():
    text = "if TYPE_CHECKING:\n  from toy.a import run as run\n  from toy import b\n  import toy.c\nx = 1"
    source = read(text)
    assert source.later == {"run": "toy.a.run", "b": "toy.b"}
    assert source.digest == read("x = 1").digest


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "x  =  (1)  # one", True),
        ("x = 1", "x = '1'", False),
        ("x.a = y", "x.b = y", False),
        ("x.a.b", "x.a().b", False),
        ("f(x, y)", "f(x), y", False),
        ("def f():\n  'Says.'\n  return 1", "def f():\n  return 1", True),
        ("class C:\n  'Says.'\n  def f(self):\n    'Says.'", "class C:\n  'Told.'\n  def f(self):\n    'Told.'", True),
        ("def f():\n  return 'Says.'", "def f():\n  return 'Told.'", False),
        ("def f():\n  1\n  'Says.'", "def f():\n  1\n  'Told.'", False),
    ],
)
def test_when_two_sources_mean_the_same(one: str, other: str, same: bool):
    assert (read(one).digest == read(other).digest) is same


def test_a_summary_means_something_where_it_is_asked_for():
    text = "class C:\n  '''{}\n\n  {}'''\n  def f(self):\n    '{}'"
    one, two, three = (text.format(*said) for said in ("abc", "axx", "xbc"))
    assert read(one, summaries=True).digest == read(two, summaries=True).digest
    assert read(one, summaries=True).digest != read(three, summaries=True).digest
