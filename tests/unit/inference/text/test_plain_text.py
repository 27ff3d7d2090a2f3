from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_inference.text.plain_text import plain_text


def test_the_syntax_of_a_readme_is_removed() -> None:
    readme = """\
# Title
Run **this and
that**, see [the
link](http://a.b), and not ** this

and that.
Run `make test` **now**, _please_, not snake_case_name or 2 * 3 * 4.
![pic](a.png) See [the docs](http://x.y/z) and <b>this</b>: a < b &amp; c > d.
- item 😀 one
- [x] done 👩\u200d👩\u200d👧 1\ufe0f\u20e3
> quoted
| a | b |
|---|---|
| 1 | 2 |
```python
code()
```
---
The ~~old~~ end.
"""
    assert [line.strip() for line in plain_text(readme).splitlines() if line.strip()] == [
        "Title",
        "Run this and",
        "that, see the",
        "link, and not ** this",
        "and that.",
        "Run make test now, please, not snake_case_name or 2 * 3 * 4.",
        "See the docs and this: a < b & c > d.",
        "item  one",
        "done  1",
        "quoted",
        "a, b",
        "1, 2",
        "The old end.",
    ]


@pytest.mark.parametrize("text", ["😀😀", "```\ncode\n```", "---", "# ", "![a](b)"])
def test_a_text_of_syntax_alone_is_unchanged(text: str) -> None:
    assert plain_text(text) == text


@given(st.text(max_size=200) | st.text(alphabet=st.sampled_from("*_`~#|->![]()<a b\n"), max_size=200))
def test_no_text_becomes_empty(text: str) -> None:
    assert bool(plain_text(text).strip()) == bool(text.strip())


@pytest.mark.parametrize("unit", ["[", "**a", "`a", "<a", "![", "_a", "| ", "# #", "<!--", "*a ", "> - ", "``` "])
def test_text_that_provokes_backtracking_takes_linear_time(unit: str) -> None:
    assert plain_text("words " + unit * (20_000 // len(unit)))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"Yes \*really\* 5\$.", "Yes *really* 5$."),
        ("<p><s>First.</s><s>Second.</s></p>Third.", "First.  Second. \nThird."),
        ("one<br/>two", "one\ntwo"),
        ("See <https://a.b/c> or <me@a.b>.", "See https://a.b/c or me@a.b."),
        ("Good.[^1]\n\n[^1]: Smith.", "Good.\n\nSmith."),
        ("I :D you <3 xD, 3:3", "I  you  , 3:3"),
        (r"$\frac{a+b}{2} \leq x^{10}$ costs $5 and $6", "(a+b)⁄2 ≤ x^10 costs $5 and $6"),
        (r"\(x_{1} \cdot \sqrt{y}\)", "x 1  · √y"),
        ("C:\\pi\\max", "C:\\pi\\max"),
    ],
)
def test_syntax_of_chat_answers_is_removed(text: str, plain: str) -> None:
    assert plain_text(text).strip() == plain
