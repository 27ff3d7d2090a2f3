"""Our tokenizer against the reference's wrapper, on written and on random mixed text."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from voxfleet_inference.model.tokenizer import collapse_whitespace, is_chinese_word
from voxfleet_inference.model.voxcpm import VoxCPM

CHINESE = "你好 世界 人工智能 语音合成 天 气 ， 。 日本語 한국".split()  # noqa: SIM905
LATIN = "the water Hello x 9 . ! é € 😀 \u2581 's".split()  # noqa: SIM905
CONTROL = ["<s>", "</s>", "<|audio_start|>", "<reserved_50>", " ", "  ", "\t", "\n"]
PIECES = [*CHINESE, *LATIN, *CONTROL]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Hello world, this is a test.",
        "你好世界，今天天气很好",
        "人工智能 is 你好",
        "你好",
        " 你好",
        " leading and trailing ",
        "a  b",
        "ßé€😀 日本語",
        "\u2581x",
        "<s> x <|audio_start|>",
        "价格是 12.5 元！",
    ],
)
def test_written_texts(text: str, ours: Callable[..., Any], reference: Callable[..., Any]) -> None:
    assert ours("tiny", False).tokenizer.encode(text) == reference("tiny", False).model.text_tokenizer(text)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join))
def test_mixed_texts(text: str, ours: Callable[..., Any], reference: Callable[..., Any]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates are no text; neither tokenizer takes them
        return
    assert ours("tiny", False).tokenizer.encode(text) == reference("tiny", False).model.text_tokenizer(text)


def test_chinese_words_are_split_into_characters(ours: Callable[[str, bool], VoxCPM]) -> None:
    tokenizer = ours("tiny", False).tokenizer
    whole, spelled = tokenizer.encode("人工智能"), [tokenizer.encode(character) for character in "人工智能"]
    assert whole[1:] == [ids[-1] for ids in spelled]  # after the word mark of the beginning
    assert len(set(whole)) == 5


def test_a_chinese_word_that_begins_a_text_loses_its_mark(ours: Callable[[str, bool], VoxCPM]) -> None:
    """The vocabulary has the mark and these two characters as one token; taken apart, the mark goes."""
    tokenizer = ours("tiny", False).tokenizer
    mark = tokenizer.encode("世界")[0]
    merged = tokenizer._tokenizer.token_to_id("\u2581你好")
    assert merged is not None
    assert tokenizer.encode("你好")[-2:] == tokenizer.encode("世你好")[-2:]
    assert mark not in tokenizer.encode("你好")[1:]


@given(st.text())
def test_whitespace_collapses_to_single_spaces(text: str) -> None:
    collapsed = collapse_whitespace(text)
    assert collapsed.split() == text.split()
    assert "  " not in collapsed
    assert collapse_whitespace(collapsed) == collapsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", False), ("你", False), ("你好", True), ("你a", False), ("日本語", True), ("你\u3400", False)],
)
def test_what_counts_as_a_chinese_word(text: str, expected: bool) -> None:  # noqa: FBT001
    assert is_chinese_word(text) is expected
