"""Every helm and kubectl command of the docs, against a real API server; what would change anything is a dry run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

SYSTEM = "voxfleet-system"
CHANGING = {"delete", "annotate", "create", "apply", "label", "patch", "scale"}
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "voxfleet-internal-hub"}, "data": {"key": "eA=="}}
# Names in the docs stand for the reader's own: that these do not exist, or do already, is the right answer.
ABSENT = ("NotFound", "not found", "No resources found", "timed out waiting for the condition", "AlreadyExists")
KARPENTERS = 'the server doesn\'t have a resource type "nodeclaims"'
WITH_A_VALUE = {"--namespace", "-n", "--context", "--kube-context", "--kubeconfig"}


def verb(words: tuple[str, ...]) -> str:
    """The first word that is neither a flag nor its value."""
    rest = iter(words[1:])
    for word in rest:
        if word in WITH_A_VALUE:
            next(rest)
        elif not word.startswith("-"):
            return word
    raise AssertionError(words)


def of(commands: list[Any], program: str) -> list[Any]:
    return [each for each in commands if each.program == program]


@pytest.fixture
def folder(checkout: Path, blocks: list[Any]) -> Path:
    """The checkout with the files that commands read, from the pages that show them."""
    for block in blocks:
        first = block.text.partition("\n")[0]
        if block.language == "yaml" and first.startswith("# ") and first.endswith(".yaml"):
            (checkout / first.removeprefix("# ")).write_text(block.text)
    (checkout / "ap-kubeconfig").write_text("{}")
    return checkout


@pytest.mark.timeout(300)
def test_helm_takes_every_command(commands: list[Any], cluster: Any, folder: Path) -> None:
    assert (folder / "dns-values.yaml").is_file()
    found = of(commands, "helm")
    assert len(found) >= 15
    said = [
        str(each) for each in found if verb(each.words) in {"install", "template"} and failed(cluster, each, folder)
    ]
    for name in ("voxfleet-crds", "voxfleet"):
        values = () if name == "voxfleet-crds" else ("--set", "gateway.regions[0].name=eu-central")
        words = ["helm", "install", name, f"charts/{name}", "--namespace", SYSTEM, "--create-namespace", *values]
        done = cluster.run(words, folder)
        assert done.returncode == 0, done.stderr
    later = [each for each in found if verb(each.words) not in {"install", "template"}]
    assert {verb(each.words) for each in later} >= {"upgrade", "uninstall"}
    assert said + [failure for each in later if (failure := failed(cluster, each, folder))] == []


def failed(cluster: Any, command: Any, folder: Path) -> str:
    """Run it without changing anything; the words of a failure, or nothing."""
    dry = [] if verb(command.words) == "template" else ["--dry-run"]
    done = cluster.run([*command.words, *dry], folder)
    return "" if done.returncode == 0 else f"{command}: {done.stderr.strip()}"


@pytest.mark.timeout(300)
def test_kubectl_takes_every_command(commands: list[Any], cluster: Any, folder: Path) -> None:
    crd = cluster.run(
        ["kubectl", "apply", "--server-side", "--force-conflicts", "--filename", "crds"],
        Path(folder / "charts").resolve().parent,
    )
    assert crd.returncode == 0, crd.stderr
    for name in (SYSTEM, "team-a"):
        cluster.run(["kubectl", "create", "namespace", name], folder)
    found = of(commands, "kubectl")
    assert len(found) >= 40
    assert {verb(each.words) for each in found} >= {"apply", "get", "describe", "logs", "delete", "annotate", "create"}
    assert [text for each in found if (text := refused(cluster, each, folder))] == []


def refused(cluster: Any, command: Any, folder: Path) -> str:
    """Run it; the words of a refusal other than that a placeholder does not exist, or nothing."""
    words = [str(cluster.kubeconfig) if word == "KUBECONFIG" else word for word in command.words]
    dry = ["--dry-run=server"] if verb(command.words) in CHANGING else []
    if verb(command.words) in {"logs", "port-forward", "exec"}:
        words.insert(words.index(verb(command.words)) + 1, "--pod-running-timeout=10ms")  # no pod ever runs here
    done: subprocess.CompletedProcess[str] = cluster.run([*words, *dry], folder, sent=json.dumps(SECRET))
    is_absent = any(text in done.stderr for text in (*ABSENT, KARPENTERS))
    return "" if done.returncode == 0 or is_absent else f"{command}: {done.stderr.strip()}"
