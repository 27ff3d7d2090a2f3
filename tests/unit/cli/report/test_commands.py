"""What `voxfleet report --json` prints of a bundle."""

from pathlib import Path

from voxfleet_cli.report.bundle import BundleFile
from voxfleet_cli.report.commands import contents


def test_the_contents_for_programs() -> None:
    files = [BundleFile("pods.json", "pods", b"[]"), BundleFile("logs/gw.txt", "a log", b"x" * 9, is_cut=True)]
    assert contents(Path("b.tar.gz"), 812, files, {"nodes", "events"}) == {
        "file": "b.tar.gz",
        "bytes": 812,
        "contents": [
            {"name": "pods.json", "bytes": 2, "about": "pods", "shortened": False},
            {"name": "logs/gw.txt", "bytes": 9, "about": "a log", "shortened": True},
        ],
        "not_read": ["events", "nodes"],
    }
