"""Names of models and resources become labels; parents of names exist; the oldest owns a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.decisions.dns.served_models import ServedModel
from voxfleet_gateway.decisions.dns.zone import dns_label, zone_of

APEX = "tts.example.com."


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("narrator", "narrator"),
        ("voxcpm-1.5", "voxcpm-1-5"),
        ("OpenBMB/VoxCPM1.5", "openbmb-voxcpm1-5"),
        ("-a_b-", "a-b"),
        ("语音", ""),
        ("x" * 80, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
def test_a_name_becomes_a_label(name: str, label: str) -> None:
    assert dns_label(name) == label


@given(st.text())
def test_a_label_is_safe_or_empty(name: str) -> None:
    label = dns_label(name)
    assert len(label) <= 63
    assert label == label.strip("-") == dns_label(label)
    assert all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in label)


def model(namespace: str, name: str, called: str) -> ServedModel:
    return ServedModel(namespace, name, called, ())


def test_every_name_of_the_zone() -> None:
    zone = zone_of(
        APEX, ["ns1.tts.example.com.", "ns.elsewhere.net."], ["EU Central"], [model("voices", "n1", "vox-1.5")]
    )
    assert {name: found.kind for name, found in zone.names.items()} == {
        APEX: "apex",
        "ns1.tts.example.com.": "server",
        "ns.elsewhere.net.": "server",
        "eu-central.regions.tts.example.com.": "region",
        "regions.tts.example.com.": "empty",
        "vox-1-5.tts.example.com.": "model",
        "n1.voices.tts.example.com.": "model",
        "voices.tts.example.com.": "empty",
    }
    assert zone.find("other.tts.example.com.") is None


def test_the_first_of_two_models_has_the_name() -> None:
    zone = zone_of(APEX, [], [], [model("a", "one", "vox.1"), model("b", "two", "vox-1")])
    assert zone.names["vox-1.tts.example.com."].owner == "a/one"
    assert zone.names["two.b.tts.example.com."].owner == "b/two"


def test_a_model_does_not_take_the_name_of_a_server_or_of_the_zone() -> None:
    zone = zone_of(APEX, ["ns1.tts.example.com."], [], [model("a", "x", "ns1"), model("a", "y", "语音")])
    assert zone.names["ns1.tts.example.com."].kind == "server"
    assert zone.names[APEX].kind == "apex"
    assert zone.names["y.a.tts.example.com."].owner == "a/y"


def test_a_namespace_may_be_a_models_name_too() -> None:
    zone = zone_of(APEX, [], [], [model("voices", "n", "voices")])
    assert zone.names["voices.tts.example.com."].kind == "model"
    assert zone.names["n.voices.tts.example.com."].kind == "model"
