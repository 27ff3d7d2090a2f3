"""What the demo's runner prints and reads, without a cluster."""

import re

import pytest
from voxfleet_demo.demo_runner import AMERICA, EUROPE, STORY, TEXTS, describe
from voxfleet_demo.scenario import Speech


def test_describe_has_region_route_times_and_duration() -> None:
    words = describe(Speech("eu-central", "nearest", 0.123, 2.5, b"\x01\x00" * 44_100))
    assert words == "eu-central answered (nearest): first audio after 0.12 s, 1.0 s of audio in 2.5 s"


def test_the_chinese_text_has_three_hundred_characters() -> None:
    assert len((TEXTS / "hometown.zh.txt").read_text().strip()) == 300


@pytest.mark.parametrize(("region", "place"), [(EUROPE, "Frankfurt"), (AMERICA, "Virginia")])
def test_each_half_of_the_story_first_names_its_place(region: str, place: str) -> None:
    text = (TEXTS / STORY[region]).read_text()
    assert f"I am speaking from {place}" in text[:60]
    assert not {"Frankfurt", "Virginia"} - {place} & set(re.findall(r"\w+", text))


def test_the_story_has_three_hundred_plain_words() -> None:
    text = " ".join((TEXTS / STORY[region]).read_text() for region in (EUROPE, AMERICA))
    assert 290 <= len(text.split()) <= 340
    assert set(re.findall(r"[^\w\s]", text)) == {".", ","}
    assert text.isascii()
    assert all(len(each.split()) <= 20 for each in text.split("."))
