"""The held-out sentences: their number, lengths and letters, and that no voice was trained on them."""

import random
import re
from importlib.resources import files
from pathlib import Path

import pytest
from voxfleet_inference.text.normalization import normalized
from voxfleet_inference.text.sentences import split
from voxfleet_voice.texts.sampler import draw_text
from voxfleet_voice.texts.word_list import load_word_list

from .conftest import Load

DRAWS = 500


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def test_there_are_sixty_of_three_to_twenty_two_words(load: Load) -> None:
    sentences = load("speaking.sentences").load_sentences()
    assert len({each.text for each in sentences}) == 60
    assert all(3 <= len(each.spoken.split()) <= 22 for each in sentences)
    assert all(each.text.isascii() and each.spoken.isascii() for each in sentences)
    assert sum(each.text.endswith("?") for each in sentences) == 15
    assert sum(bool(re.search(r"\d", each.text)) for each in sentences) == 15


def test_each_is_one_sentence_that_the_server_spells_as_written(load: Load) -> None:
    for each in load("speaking.sentences").load_sentences():
        assert len(split(each.text)) == 1
        assert normalized(each.text) == each.spoken


def test_lengths_are_those_of_speech(load: Load) -> None:
    for each in load("speaking.sentences").load_sentences():
        assert 5 <= len(each.spoken) / each.teacher_seconds <= 25, each


def test_none_is_among_the_training_texts(load: Load) -> None:
    pytest.importorskip("hibari")
    held_out = {plain(each.spoken) for each in load("speaking.sentences").load_sentences()}
    rules = (files("voxfleet_voice.texts") / "rules.txt").read_text()
    fixed = {plain(line.rpartition("\t")[2]) for line in rules.splitlines()}
    vocabulary, source = load_word_list(), random.Random(5)  # noqa: S311
    drawn = {plain(sentence.written) for _ in range(DRAWS) for sentence in draw_text(vocabulary, source).sentences}
    assert not held_out & (fixed | drawn)


def test_a_few_are_taken_from_all_over_the_list(load: Load) -> None:
    module = load("speaking.sentences")
    chosen = module.spread(module.load_sentences(), 4)
    assert len(set(chosen)) == 4
    assert sum(each.text.endswith("?") for each in chosen) == 1
    assert module.spread(chosen, 9) == chosen


def test_a_line_without_three_columns_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "wrong.tsv").write_text("# a comment\nHello.\t1.0\n")
    with pytest.raises(ValueError, match=r"2 columns in \['Hello.', '1.0'\]; 3 are required"):
        load("speaking.sentences").load_sentences(tmp_path / "wrong.tsv")
