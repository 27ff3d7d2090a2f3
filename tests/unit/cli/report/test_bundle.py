"""The bounds of a bundle and its form."""

import io
import json
import tarfile

from voxfleet_cli.report import bundle
from voxfleet_cli.report.bundle import BundleFile, archive, json_file, lines_file, within_bounds


def test_long_lists_and_logs_are_cut_and_say_so() -> None:
    long = json_file("a.json", "rows", ["x" * 1000] * 5000)
    assert long.is_cut
    assert len(long.content) <= bundle.LONGEST_FILE_BYTES
    assert json.loads(long.content)
    lines = lines_file("log", "lines", (f"{number}" + "y" * 1000 for number in range(5000)))
    assert lines.is_cut
    assert len(lines.content) <= bundle.LONGEST_FILE_BYTES
    assert lines.content.splitlines()[-1].startswith(b"4999")
    assert not json_file("b.json", "", {"a": 1}).is_cut


def test_a_bundle_that_is_full_names_what_it_leaves_out() -> None:
    files = [BundleFile(f"{number}", "", b"z" * bundle.LONGEST_FILE_BYTES) for number in range(20)]
    kept = within_bounds(files)
    assert [each.name for each in kept] == [each.name for each in files]
    assert sum(len(each.content) for each in kept) <= bundle.LONGEST_BUNDLE_BYTES
    assert kept[-1].is_cut


def test_the_archive_has_one_folder() -> None:
    packed = archive("report", [BundleFile("a/b.json", "", b"{}")], 1)
    assert packed == archive("report", [BundleFile("a/b.json", "", b"{}")], 1)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mode) == ("report/a/b.json", 0o600)
        file = tar.extractfile(member)
        assert file is not None
        assert file.read() == b"{}"
