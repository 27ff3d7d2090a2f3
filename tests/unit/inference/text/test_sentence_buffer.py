from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_cases import MARKED, TEXTS, letters
from voxfleet_inference.text.sentence_buffer import SentenceBuffer
from voxfleet_inference.text.sentences import MAX_WEIGHT, weight


@pytest.mark.parametrize("marked", MARKED)
def test_text_that_arrives_letter_by_letter_has_the_same_sentences(marked: str) -> None:
    text, buffer = marked.replace("|", ""), SentenceBuffer()
    sentences = [sentence for letter in text for sentence in buffer.append(letter)]
    assert [each.text for each in (*sentences, *buffer.flush())] == [part.strip() for part in marked.split("|")]
    assert buffer.waiting_characters == 0


@given(TEXTS, st.data())
def test_sentences_hold_all_letters_however_the_text_is_cut(text: str, data: st.DataObject) -> None:
    buffer, sentences, at = SentenceBuffer(), [], 0
    while at < len(text):
        size = data.draw(st.integers(min_value=1, max_value=40))
        sentences += buffer.append(text[at : at + size])
        at += size
    sentences += buffer.flush()
    assert letters("".join(each.text for each in sentences)) == letters(text)
    assert all(0 < weight(each.text) <= MAX_WEIGHT for each in sentences)


def test_a_sentence_is_complete_once_the_next_one_has_begun() -> None:
    buffer = SentenceBuffer()
    assert buffer.append("Hello there, my friend. ") == ()
    assert buffer.append("How") == ()
    assert [each.text for each in buffer.append(" are")] == ["Hello there, my friend."]
    assert buffer.append(" you today?") == ()
    assert [each.text for each in buffer.flush()] == ["How are you today?"]
    assert [each.text for each in buffer.append("你好，我的好朋友。你")] == ["你好，我的好朋友。"]


def test_a_sentence_without_end_is_cut_while_it_arrives() -> None:
    buffer = SentenceBuffer()
    sentences = [each for _ in range(400) for each in buffer.append("and so on ")]
    assert len(sentences) > 8
    assert buffer.waiting_characters < 3 * MAX_WEIGHT
