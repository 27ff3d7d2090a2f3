"""The Dockerfiles: an unprivileged user, hash-locked dependencies in a layer below the source, ports, entry points."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from voxfleet_testbed.settings import REPOSITORY

PORTS = {"operator": "8080 9090", "gateway": "6006 9090 9091", "inference": "6006 9090 9091"}
SITE_PACKAGES = "/opt/voxfleet/site-packages"

Instruction = tuple[str, str]


def instructions(part: str) -> list[Instruction]:
    """(KEYWORD, arguments) of a Dockerfile, continuation lines joined, comments dropped."""
    lines = (REPOSITORY / part / "Dockerfile").read_text().splitlines()
    joined = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in joined.splitlines() if line.strip()]


def of(part: str, keyword: str) -> Iterator[str]:
    return (arguments for word, arguments in instructions(part) if word == keyword)


@pytest.mark.parametrize("part", PORTS)
def test_it_runs_its_own_module_as_an_unprivileged_user(part: str) -> None:
    assert [json.loads(entry) for entry in of(part, "ENTRYPOINT")] == [["python3", "-m", f"voxfleet_{part}"]]
    assert list(of(part, "USER")) == ["65532:65532"]
    assert list(of(part, "EXPOSE")) == [PORTS[part]]
    assert not list(of(part, "ADD"))


@pytest.mark.parametrize("part", PORTS)
def test_every_run_line_precedes_the_user_line(part: str) -> None:
    before_user = list(takewhile(lambda instruction: instruction[0] != "USER", instructions(part)))
    assert [word for word, _ in before_user].count("RUN") == len(list(of(part, "RUN")))


@pytest.mark.parametrize("part", PORTS)
def test_dependencies_are_locked_and_lie_below_the_source(part: str) -> None:
    copies = [arguments.split() for arguments in of(part, "COPY")]
    assert copies[0] == [f"requirements/{part}.txt", "/opt/voxfleet/requirements.txt"]
    assert [f"{part}/voxfleet_{part}", f"/opt/voxfleet/src/voxfleet_{part}"] in copies[1:]
    install = next(run for run in of(part, "RUN") if "pip install" in run)
    assert "--require-hashes" in install
    assert f"--target {SITE_PACKAGES}" in install or f"--target {SITE_PACKAGES.rpartition('/')[2]}" in install
    assert "--hash=sha256:" in (REPOSITORY / copies[0][0]).read_text()


@pytest.mark.parametrize("part", PORTS)
def test_what_is_copied_is_in_the_build_context(part: str) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for *sources, _target in (arguments.split() for arguments in of(part, "COPY")):
        for source in sources:
            assert (REPOSITORY / source).exists(), source
            assert let_in & {source, *map(str, Path(source).parents)}, source


@pytest.mark.parametrize("part", PORTS)
def test_its_python_finds_source_and_dependencies(part: str) -> None:
    environment = dict(pair.split("=", 1) for line in of(part, "ENV") for pair in shlex.split(line))
    assert environment["PYTHONPATH"] == f"/opt/voxfleet/src:{SITE_PACKAGES}"


@pytest.mark.parametrize("part", PORTS)
def test_it_has_the_image_labels(part: str) -> None:
    (labels,) = of(part, "LABEL")
    names = {label.split("=")[0].removeprefix("org.opencontainers.image.") for label in shlex.split(labels)}
    assert names == {"title", "description", "version", "revision", "licenses"}


def test_all_start_from_the_same_base() -> None:
    assert len({next(of(part, "ARG")) for part in PORTS}) == 1
