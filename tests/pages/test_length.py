"""What is in sight on a page, counted by hand, and the limits of the longest pages."""

from __future__ import annotations

import pytest

from ltlib.pages.length import Length, in_sight


@pytest.mark.parametrize(
    ("html", "words", "tables"),
    [
        ("<p>One two <b>thr</b>ee</p><p>four</p>", 4, 0),
        ("<table><tr><td>a</td><td>b c</td></tr></table>", 3, 1),
        ("<details><summary>In sight</summary>not <table></table></details> after", 3, 0),
        ("<details open><summary>In sight</summary>too <table></table></details>", 3, 1),
        ("<details><summary>a</summary><details open><summary>b</summary>c</details>d</details>e", 2, 0),
        ("<details open>a<details><summary>b</summary>c<table></table></details>d</details>e", 4, 0),
        ("<head><title>no</title></head><nav>no</nav><main>yes</main><script>no no</script><footer>no</footer>", 1, 0),
        ("<style>no</style>x <math><mi>y</mi></math> z", 2, 0),
        ("1 &lt; 2", 3, 0),
        ("", 0, 0),
    ],
)
def test_words_and_tables_in_sight(html: str, words: int, tables: int) -> None:
    assert in_sight(html) == Length(words, tables)
