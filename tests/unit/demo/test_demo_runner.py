"""What the demo's runner prints and reads, without a cluster."""

from voxfleet_demo.demo_runner import TEXTS, describe
from voxfleet_demo.scenario import Speech


def test_describe_has_region_route_times_and_duration() -> None:
    words = describe(Speech("eu-central", "nearest", 0.123, 2.5, b"\x01\x00" * 44_100))
    assert words == "eu-central answered (nearest): first audio after 0.12 s, 1.0 s of audio in 2.5 s"


def test_the_chinese_text_has_three_hundred_characters() -> None:
    assert len((TEXTS / "hometown.zh.txt").read_text().strip()) == 300
