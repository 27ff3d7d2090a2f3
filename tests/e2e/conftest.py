"""One cluster with VoxFleet installed by its charts, shared by all end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from kubernetes.client.exceptions import ApiException
from voxfleet_demo.environment import start_local_environment
from voxfleet_demo.installation import Installation
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.fixtures import skipping
from voxfleet_testbed.settings import Settings


@pytest.fixture(scope="session")
def installation(testbed_settings: Settings) -> Iterator[Installation]:
    """VoxFleet on two local nodes; or, where KUBECONFIG names a cluster, the release that is installed there."""
    with skipping(testbed_settings):
        if testbed_settings.kubeconfig is not None:
            yield installed_on(testbed_settings.kubeconfig)
            return
        environment = start_local_environment(testbed_settings, report=lambda _: None)
    try:
        environment.installation.install(environment.values)
        yield environment.installation
    finally:
        environment.cluster.close()


def installed_on(kubeconfig: Path) -> Installation:
    """Return the user's own installation.

    Raises:
        UnavailableError: this machine does not reach it.
    """
    installation = Installation(kubeconfig)
    try:
        httpx.get(f"{installation.gateway_url()}/health/live", timeout=30).raise_for_status()
    except (ApiException, httpx.HTTPError) as error:
        raise UnavailableError(
            f"KUBECONFIG={kubeconfig}: install VoxFleet there with its charts (namespace voxfleet-system, regions"
            f" eu-central and us-east) and run where Service addresses are reachable: {error}"
        ) from error
    return installation
