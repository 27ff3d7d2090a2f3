from __future__ import annotations

from voxfleet_inference.text.sentences import End, TextSentence, split


def texts_of(text: str, **bounds: int) -> tuple[str, ...]:
    return tuple(sentence.text for sentence in split(text, **bounds))


NOVEL = """\
It is a truth universally acknowledged, that a single man in possession
of a good fortune, must be in want of a wife. However little known Mr.
Bennet may be, he lived on.

"My dear," said his lady to him one day, "have you heard that
Netherfield Park is let at last?"
"""

README = """\
# A title

Install it first. Then run it.
- one thing
- another thing, so long that it had to be wrapped over the column,
  and so it goes on here
1. First of all
2. After that

---
The end of it.
"""


def test_wrapped_lines_of_a_novel_are_joined() -> None:
    assert split(NOVEL) == (
        TextSentence(
            "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want"
            " of a wife.",
            End.SENTENCE,
        ),
        TextSentence("However little known Mr. Bennet may be, he lived on.", End.PARAGRAPH),
        TextSentence(
            '"My dear," said his lady to him one day, "have you heard that Netherfield Park is let at last?"', End.LINE
        ),
    )


def test_lines_of_a_readme_are_not_joined() -> None:
    assert [each.text for each in split(README)] == [
        "# A title",
        "Install it first.",
        "Then run it.",
        "- one thing",
        "- another thing, so long that it had to be wrapped over the column, and so it goes on here",
        "1. First of all",
        "2. After that ---",
        "The end of it.",
    ]


def test_lines_wrapped_at_100_columns_are_joined() -> None:
    wrapped = "Both of them set up everything they need (packages, binaries built from their published modules, the"
    assert split(f"{wrapped}\nPython environment) and say so.")[0].text == f"{wrapped} Python environment) and say so."


def test_lines_of_a_poem_are_not_joined() -> None:
    poem = "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡"
    assert [each.text for each in split(poem)] == poem.split("\n")


def test_wrapped_chinese_lines_are_joined_without_a_space() -> None:
    first = "我们在一个安静的小村庄里住了很多年那里的人们都很友善而且总是愿意帮助"
    assert split(f"{first}\n别人，我很想念他们。")[0].text == f"{first}别人，我很想念他们。"


def test_short_lines_are_not_joined() -> None:
    assert texts_of("One\nTwo") == ("One", "Two")
