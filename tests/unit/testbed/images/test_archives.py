"""Image archives in `docker save` format, written and merged without a builder."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from voxfleet_testbed.images.archives import pause_archive, single_program_image, write_merged


def test_an_archive_holds_one_program_that_starts() -> None:
    with tarfile.open(fileobj=io.BytesIO(single_program_image("localhost/x:1", "pause", b"ELF"))) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        config = json.load(archive.extractfile("config.json") or io.BytesIO())
        layer_bytes = (archive.extractfile("layer.tar") or io.BytesIO()).read()
    assert manifest == [{"Config": "config.json", "RepoTags": ["localhost/x:1"], "Layers": ["layer.tar"]}]
    assert config["config"]["Entrypoint"] == ["/pause"]
    with tarfile.open(fileobj=io.BytesIO(layer_bytes)) as layer:
        assert layer.getmember("pause").mode == 0o755
        assert (layer.extractfile("pause") or io.BytesIO()).read() == b"ELF"


def test_the_same_program_gives_the_same_archive() -> None:
    assert single_program_image("a", "b", b"c") == single_program_image("a", "b", b"c")


def test_the_pause_archive_is_made_once(tmp_path: Path) -> None:
    program = tmp_path / "pause-0123" / "pause"
    program.parent.mkdir()
    program.write_bytes(b"ELF")
    first = pause_archive(tmp_path, program)
    made_at = first.stat().st_mtime_ns
    assert pause_archive(tmp_path, program) == first
    assert first.stat().st_mtime_ns == made_at


def archive_of(path: Path, image: str, layers: dict[str, bytes]) -> Path:
    """An archive as buildah writes it: layers named by content, a manifest at the end."""
    manifest = [{"Config": f"{image}.json", "RepoTags": [f"localhost/{image}:1"], "Layers": list(layers)}]
    files = {**layers, f"{image}.json": b"{}", "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo(f"legacy-{image}/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, f"../{next(iter(layers))}"
        archive.addfile(link)
    return path


def test_merged_archives_hold_every_image_and_shared_layers_once(tmp_path: Path) -> None:
    one = archive_of(tmp_path / "one.tar", "one", {"base.tar": b"base", "1.tar": b"first"})
    two = archive_of(tmp_path / "two.tar", "two", {"base.tar": b"base", "2.tar": b"second"})
    stream = io.BytesIO()
    write_merged([one, two], stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as merged:
        names = merged.getnames()
        manifest = json.load(merged.extractfile("manifest.json") or io.BytesIO())
        assert (merged.extractfile("2.tar") or io.BytesIO()).read() == b"second"
    once = ["base.tar", "1.tar", "2.tar", "one.json", "two.json", "manifest.json"]
    assert sorted(names) == sorted([*once, "legacy-one/layer.tar", "legacy-two/layer.tar"])
    assert [entry["RepoTags"] for entry in manifest] == [["localhost/one:1"], ["localhost/two:1"]]
