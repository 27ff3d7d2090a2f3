"""Weights in a claim: a Job fills it before the first wake, and no wake downloads anything.

The claim's volume is a folder of this machine, on which both nodes of the local cluster run; the store is conftest's.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from voxfleet_demo.installation import CHECKOUT, QUICKSTART, Installation
from voxfleet_demo.scenario import Speech, speak, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

# conftest.Store: pytest loads test folders without packages, so the class cannot be imported by name.
Store = Any

NAME, REGION, LOCATION = "onefetch", "eu-central", "50.11,8.68"
TEXT = "Call me Ishmael. Some years ago I thought I would sail about a little."
EXAMPLE = CHECKOUT / "examples" / "weights-claim.yaml"
MARKER = ".voxfleet-weights.json"
SERVERS_USER = 65_532
LONGEST_SECONDS = 300
IDLE_SECONDS = 10
# Runs in a server: the folder belongs to its user, so only a read-only mount refuses the file.
WRITE = """
import errno, sys
try:
    open(sys.argv[1] + "/written", "w")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource under test, and the folder behind its claim."""

    installation: Installation
    volume: Path

    def ask(self) -> Speech:
        url = self.installation.gateway_url()
        return speak(url, TEXT, model=NAME, location=LOCATION, hold_seconds=LONGEST_SECONDS)

    def message(self) -> str:
        found: str = self.installation.fleet.regions(NAME).get(REGION, {}).get("message", "")
        return found

    def pods(self) -> list[Any]:
        return self.installation.fleet.pods(NAME, REGION)

    def wait_asleep(self) -> None:
        self.installation.fleet.wait_phase(NAME, REGION, "Asleep", within_seconds=LONGEST_SECONDS)
        wait_until(lambda: len(self.pods()), 0, what=f"{NAME}'s pods", within_seconds=LONGEST_SECONDS)

    def wait_fetched(self) -> None:
        kubectl, selector = self.installation.kubectl, f"--selector=voxfleet.dev/deployment={NAME}"
        wait_until(
            lambda: bool(kubectl("get", "job", selector, "--output=name")), True, what="a Job", within_seconds=60
        )
        kubectl("wait", "--for=condition=complete", "job", selector, f"--timeout={LONGEST_SECONDS}s")
        wait_until(self.message, "", what="the region's message", within_seconds=LONGEST_SECONDS)

    def fetched(self) -> dict[str, bytes]:
        """Return the weights in the volume."""
        (folder,) = self.volume.iterdir()
        hidden = {MARKER, ".lock"}
        assert hidden <= {each.name for each in folder.iterdir()}
        return {each.name: each.read_bytes() for each in folder.iterdir() if each.name not in hidden}


@pytest.fixture(scope="module")
def subject(installation: Installation, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A resource as in the example, on a volume that an administrator has made."""
    volume = tmp_path_factory.mktemp("volume")
    os.chown(volume, SERVERS_USER, SERVERS_USER)
    installation.apply(secret(store), persistent_volume(volume), resource(store))
    yield Subject(installation, volume)
    installation.delete(NAME)
    installation.kubectl("delete", "secret", f"{NAME}-s3", "--ignore-not-found")
    installation.kubectl("delete", "persistentvolume", NAME, "--ignore-not-found", "--timeout=120s")


def resource(store: Store) -> dict[str, Any]:
    """Return the quickstart in one region, with the weights of the example."""
    quickstart, example = (yaml.safe_load(path.read_text()) for path in (QUICKSTART, EXAMPLE))
    spec = quickstart["spec"] | {"cache": example["spec"]["cache"]}
    spec["regions"] = [each for each in spec["regions"] if each["name"] == REGION]
    spec["model"] = example["spec"]["model"] | {"name": NAME, "source": store.source}
    spec["model"]["secretRef"] = {"name": f"{NAME}-s3"}
    spec["cache"] = {"weights": spec["cache"]["weights"] | {"storageClassName": NAME, "size": "100Mi"}}
    spec["autoscaling"]["idleTimeoutSeconds"] = 3600  # a test says when it may fall asleep
    return quickstart | {"metadata": {"name": NAME, "namespace": "default"}, "spec": spec}


def secret(store: Store) -> dict[str, Any]:
    keys = {"accessKeyId": store.access_key, "secretAccessKey": store.secret_key}
    keys |= {"endpoint": store.url, "region": "us-east-1"}
    metadata = {"name": f"{NAME}-s3", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys}


def persistent_volume(folder: Path) -> dict[str, Any]:
    spec = {
        "storageClassName": NAME,
        "capacity": {"storage": "100Mi"},
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": str(folder), "type": "Directory"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": NAME}, "spec": spec}


def test_a_job_fills_the_claim_before_the_first_wake(
    subject: Subject, store: Store, checkpoint: dict[str, bytes]
) -> None:
    def percent() -> int:
        found = re.search(r"has fetched (\d+) %", subject.message())
        return int(found[1]) if found else 0

    wait_until(lambda: 50 < percent() < 100, True, what="the progress is told", within_seconds=LONGEST_SECONDS)
    assert f"model.source {store.source}" in subject.message()
    store.released.set()
    subject.wait_fetched()
    assert store.downloads == sorted((name, len(body)) for name, body in checkpoint.items())
    assert all(f"Credential={store.access_key}/" in each.authorization for each in store.requests)
    assert subject.fetched() == checkpoint
    assert subject.pods() == []


def test_no_wake_downloads_anything(subject: Subject, store: Store) -> None:
    store.released.set()
    subject.wait_fetched()
    requests, downloads = len(store.requests), store.downloads
    first = subject.ask()
    assert (first.region, first.route) == (REGION, "hold-wake")
    assert first.audio_seconds > 0.6
    assert_reads_only(subject)
    idle = f'{{"spec": {{"autoscaling": {{"idleTimeoutSeconds": {IDLE_SECONDS}}}}}}}'
    subject.installation.kubectl("patch", "vtts", NAME, "--type=merge", f"--patch={idle}")
    subject.wait_asleep()
    second = subject.ask()
    assert (second.region, second.route) == (REGION, "hold-wake")
    assert second.audio_seconds > 0.6
    assert store.downloads == downloads
    assert len(store.requests) == requests, "not even a listing"


def assert_reads_only(subject: Subject) -> None:
    """The server has no download of its own, and mounts the claim so that it cannot write to it."""
    (pod,) = subject.pods()
    assert not pod.spec.init_containers
    (volume,) = [each.name for each in pod.spec.volumes if each.persistent_volume_claim]
    (mount,) = [each for each in pod.spec.containers[0].volume_mounts if each.name == volume]
    assert mount.read_only
    target = (pod.metadata.name, "--container=inference", "--")
    written = subject.installation.kubectl("exec", *target, "python3", "-c", WRITE, mount.mount_path)
    assert written.strip() == "EROFS"


def test_a_deleted_resource_leaves_what_the_user_made(subject: Subject, checkpoint: dict[str, bytes]) -> None:
    """The claim is the operator's and goes; the Secret and the volume, which is kept by its own policy, stay."""
    kubectl = subject.installation.kubectl
    kinds = kubectl("api-resources", "--verbs=list", "--output=name").split()
    listed = ",".join(each for each in kinds if not each.startswith(("events", "componentstatuses")))

    def left() -> set[str]:
        names: Iterable[str] = kubectl("get", listed, "--all-namespaces", "--output=name").splitlines()
        return {each for each in names if NAME in each}

    before = {each.partition("/")[0] for each in left()}
    assert before >= {"persistentvolumeclaim", "job.batch", "deployment.apps", "lease.coordination.k8s.io"}
    subject.installation.delete(NAME)
    users = {f"persistentvolume/{NAME}", f"secret/{NAME}-s3"}
    wait_until(left, users, what="the objects that are left", within_seconds=LONGEST_SECONDS)
    assert subject.fetched() == checkpoint
