"""Forms: what is harmless passes, and keys, addresses, texts do not."""

from typing import Any

import pytest
from voxfleet_cli.report import picking
from voxfleet_cli.report.picking import DROPPED, pick

GOOD = {
    "NAME": ["eu-central", "voxfleet-gateway-7d9f8b6c5d-x2x4z", "narrator-eu-9f86d081884c7d65", "a"],
    "FULL_NAME": ["apps/narrator"],
    "NODE": ["node-1", "ip-10-0-1-2.eu-central-1.compute.internal", "gke-pool-1a2b3c4d-x9z8"],
    "CAMEL": [
        "Ready",
        "ImagePullBackOff",
        "CrashLoopBackOff",
        "OOMKilled",
        "PodScheduled",
        "ErrImagePull",
        "ReadWriteOnce",
    ],
    "WORD": ["hold-wake", "spot", "region_full"],
    "TIME": ["2026-11-30T12:00:00Z", "2026-11-30T12:00:00.123456Z"],
    "QUANTITY": ["8", "128Gi", "500m"],
    "VERSION": ["v1.34.1", "v1.34.1-eks-1a2b3c", "0.1.0", "v1.34+"],
    "DECIMAL": ["12.25", "-1"],
}
BAD: list[Any] = [
    "vf-Zq7kP0_xT9", "203.0.113.77", "2001:db8::1", "A text.", "two words", "你好", "", "a@b.c", "https://host/x",
    "9f86d081884c7d659a2feaa0c55ad015", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", None, ["eu"], {"eu": 1}, "eu\n",
    "eyJhbGciOiJIUzI1NiJ9.e30.x", "hunter2!", "1795000000123456789012",
]  # fmt: skip


@pytest.mark.parametrize(("form", "value"), [(form, value) for form, values in GOOD.items() for value in values])
def test_what_is_of_the_form_is_kept(form: str, value: str) -> None:
    assert getattr(picking, form)(value) == value


@pytest.mark.parametrize("form", GOOD)
def test_what_is_not_is_dropped(form: str) -> None:
    kept = [value for value in BAD if getattr(picking, form)(value) is not DROPPED]
    assert kept == []


def test_fields_that_are_not_listed_are_dropped() -> None:
    shape = {"a": picking.NUMBER, "b": [{"c": picking.NAME}], "d": picking.PRESENT, "e": {"*": picking.NUMBER}}
    given = {
        "a": 1,
        "x": 2,
        "b": [{"c": "eu", "y": 1}, "z"],
        "d": {"secret": "s"},
        "e": {"cpu": 1, "vf-9x": 1, "m": "n"},
    }
    assert pick(given, shape) == {"a": 1, "b": [{"c": "eu"}], "d": True, "e": {"cpu": 1}}
    assert pick("x", shape) is pick({}, [shape]) is DROPPED
