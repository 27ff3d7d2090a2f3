from __future__ import annotations

import pytest
from voxfleet_inference.text.sentences import End, split, weight


def texts_of(text: str, **bounds: int) -> tuple[str, ...]:
    return tuple(sentence.text for sentence in split(text, **bounds))


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("word " * 30 + "here; " + "word " * 30 + "there, " + "word " * 10, "here;"),
        ("词语" * 20 + "，" + "词语" * 25 + "，" + "词语" * 20, "，"),
        ("see https://example.com/" + "a" * 120 + ", and " + "word " * 40, "a,"),
        ("It costs 1,000,000 dollars and " * 11, ""),
    ],
)
def test_a_long_sentence_is_cut_at_its_best_places(text: str, ends: str) -> None:
    parts = split(text)
    assert len(parts) > 1
    assert all(part.end is End.CLAUSE for part in parts[:-1])
    assert parts[0].text.endswith(ends.strip())
    assert min(weight(part.text) for part in parts) > 40
    assert "1,000,000" not in text or sum(part.text.count("1,000,000") for part in parts) == 11


def test_joined_emoji_are_not_split() -> None:
    family = "👩\u200d👩\u200d👧"
    assert all(part.text.count("\u200d") == 2 * part.text.count("👧") for part in split(family * 100))


def test_a_sentence_without_end_is_cut_at_commas_then_spaces_then_anywhere() -> None:
    commas = texts_of("word word word, " * 60)
    assert all(sentence.endswith(",") for sentence in commas)
    assert all(" " not in sentence[-1] for sentence in texts_of("word " * 200))
    assert [len(sentence) for sentence in texts_of("x" * 700)] == [300, 300, 100]
