"""docs/telemetry.md: no program of the product knows a host that it could report to."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("operator", "gateway", "inference", "cli", "simulation", "charts")
SUFFIXES = {".py", ".sh", ".yaml", ".yml", ".tpl", ".conf", ".toml", ".json", ".txt"}
HOST = re.compile(r"(?:https?|wss?)://([A-Za-z0-9.-]+)")
# Messages and examples: hosts that are documentation (RFC 2606), this machine, or named to a person.
NAMED_TO_PEOPLE = {
    "db-ip.com": "where location databases are found, in a message of the gateway",
    "ipinfo.io": "the same",
    "www.maxmind.com": "the same",
    "json-schema.org": "names the dialect of a schema; requested by no program",
    "github.com": "the source of a data set, in a docstring",
}
OWN = re.compile(
    r"(localhost|127\.0\.0\.1|host|[a-z0-9.-]*\.?example(\.com)?|[a-z0-9.-]*\.svc|voxfleet-gateway\.?)", re.IGNORECASE
)


def hosts(path: Path) -> set[str]:
    return {host for host in HOST.findall(path.read_text(encoding="utf-8")) if not OWN.fullmatch(host)}


def test_every_host_in_the_sources_is_one_that_people_are_pointed_to() -> None:
    sources = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and not {"static", "node_modules"} & set(path.parts)
    ]
    assert len(sources) > 300
    found = {host: path for path in sources for host in hosts(path)}
    assert {host: str(path) for host, path in found.items() if host not in NAMED_TO_PEOPLE} == {}


def test_powerdns_does_not_ask_for_security_updates() -> None:
    assert "\nsecurity-poll-suffix=\n" in (ROOT / "charts/voxfleet/files/dns/pdns.conf").read_text()


def test_the_rule_finds_a_host(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.write_text(
        'url = "https://telemetry.vendor.io/v1"\nother = "https://tts.example.com" "http://127.0.0.1:1"\n'
    )
    assert hosts(source) == {"telemetry.vendor.io"}
