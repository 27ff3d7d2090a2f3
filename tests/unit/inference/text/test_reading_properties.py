"""What holds for any text that is normalized, and for the slowest ones."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxfleet_inference.text.plain_text import plain_text
from voxfleet_inference.text.reading import Reading, readings
from voxfleet_inference.text.rule import applied
from voxfleet_inference.text.rule_table import RULES, rules_of

ENGLISH = ("The", "old", "ships", "sail", "slowly", "towards", "green", "hills", "it", "rained", "all", "day")
CHINESE = tuple("今天气很好我们去山上看花他说话快慢水里有鱼")
SIGNS = "0123456789 -–~:./,$￥€%年月日点第vVx×°'()+&①½IVXaApm是以=^_{}\\#@<>|*`[]\n\"约公斤π√"
# Units of which a long run is what a pattern without a bound backtracks over.
RUNS = (
    *("1", "00", "1 ", "1-", "1,", "1.", "1:", "$1-", "€1m ", "1m ", "1/2 ", "½", "第1", "约1", "1.5公斤", "2x", "1'"),
    *(" ", "\t", "a.", "a@", "/a", "#a", "0a", "a=", "a<", "(", "a⁄", "a^(", "√", "π", "XI ", "May 1 ", "A.", "_"),
    *("x_{1", "\\frac{1}", "\\(", "$a", "$$", "\\sqrt{", "[^", "<break ", '<say-as interpret-as="', "|--", "- ", ":D "),
    *("![", "`a", "ID1", "代码a1", "won 1-", "[pause:1s]", "👨\u200d👩", "\u0301", "你", "你1", "a你", "http://a.b/"),
    *("1km/", "no 1 ", "+1"),
    *("1/1 ", "1.1/", "http://", "1·", "11-9、", "1万/", "RTX 1", "A1", "1秒11", '1"', "c. 1", "第I", "1234 ", "(1) 1"),
    *("W. ", "Mon-", "10⁸", "8:30-"),
    *("I-V-", "a@b:", "1Z9", "3-2-", "1/2/", "5W-", "Ps. 1:1 ", "/mo. + ", "1'20\""),
    *("公元前1年-前", "会2024", "前1年到", "Pope A "),
)  # fmt: skip


def spoken(found: tuple[Reading, ...]) -> str:
    return " ".join(each.spoken for each in found)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet=st.sampled_from(SIGNS), max_size=80))
def test_any_text_is_read_and_one_with_letters_or_digits_is_not_lost(text: str) -> None:
    found = readings(text)
    assert all(each.spoken.strip() and each.pause_seconds >= 0 for each in found)
    assert found or not any(each.isalnum() for each in plain_text(text))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ENGLISH + CHINESE), min_size=1, max_size=30))
def test_words_are_read_as_they_are_written(words: list[str]) -> None:
    text = re.sub(r"(?<=[一-鿿]) | (?=[一-鿿])", "", " ".join(words))
    assert re.sub(r"\s", "", spoken(readings(text))) == re.sub(r"\s", "", text)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(ENGLISH) | st.sampled_from(["5", "1990", "3.5", "20%", "$4", "10-20", "3:30", "1/2"]),
        max_size=20,
    )
)
def test_words_beside_numbers_stay_in_their_order(words: list[str]) -> None:
    kept = iter(re.findall(r"[a-z]+", spoken(readings(" ".join(words))).lower()))
    assert all(word.lower() in kept for word in words if word.isalpha())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CHINESE) | st.sampled_from(["5", "1990", "3.5", "20%", "￥4", "3:30"]), max_size=20))
def test_chinese_beside_numbers_stays_in_its_order(pieces: list[str]) -> None:
    kept = iter(spoken(readings("".join(pieces))))
    assert all(piece in kept for piece in pieces if piece in CHINESE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ENGLISH), st.sampled_from([0, 250, 1000])), min_size=2, max_size=12))
def test_pauses_stay_between_the_words_that_they_were_typed_between(marked: list[tuple[str, int]]) -> None:
    text = " ".join(f"{word} [pause:{pause}ms]" if pause else word for word, pause in marked)
    expected: list[tuple[float, list[str]]] = [(0.0, [])]
    for word, pause in marked:
        expected[-1][1].append(word)
        expected += [(pause / 1000, [])] if pause else []
    found = [(each.pause_seconds, each.spoken.split()) for each in readings(text)]
    assert found == [each for each in expected if each[1]]


@given(st.text(alphabet=st.sampled_from(SIGNS), max_size=120))
def test_syntax_is_removed_without_a_letter_added_or_moved(text: str) -> None:
    kept = iter(text)
    assert all(each in kept for each in plain_text(text) if each.isalnum() and each.isascii())


@pytest.mark.parametrize(
    "text", ["It costs $1,234.56 on May 3, 2024 at 9:05 a.m.", "今天是2024年5月3日，温度-5~10℃，涨了20%。"]
)
def test_what_was_read_once_is_read_again_as_it_is(text: str) -> None:
    once = spoken(readings(text))
    assert spoken(readings(once)) == once


@pytest.mark.parametrize("unit", RUNS)
def test_a_long_text_takes_time_in_proportion_to_its_length(unit: str) -> None:
    began = time.process_time()
    text = plain_text(unit * (4096 // len(unit)))
    for language in RULES:
        applied(rules_of(language), text)
    assert time.process_time() - began < 2  # measured: below 0.1 s; a square one takes minutes at this length


@pytest.mark.parametrize("unit", ["a1 ", "1.5公斤"])
def test_a_long_text_is_read_whole(unit: str) -> None:
    times = 900 // len(unit)
    assert len(re.findall("one|一点五", spoken(readings(unit * times)))) == times
