"""Pytest fixtures: `control_plane` (an API server) and `cluster` (two regional nodes), each once per session.

Load them with `pytest_plugins = ["voxfleet_testbed.fixtures"]`. A missing prerequisite skips the test with one line
that names it; under CI it fails the test instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from voxfleet_testbed.assembly import start_loaded_cluster
from voxfleet_testbed.cluster.api import Api, api_from_kubeconfig
from voxfleet_testbed.cluster.control_plane import ControlPlane, start_control_plane
from voxfleet_testbed.cluster.local_cluster import Cluster
from voxfleet_testbed.errors import UnavailableError
from voxfleet_testbed.network.addresses import own_address
from voxfleet_testbed.settings import Settings, read_settings


@pytest.fixture(scope="session")
def testbed_settings() -> Settings:
    """The testbed's settings, read from the environment once per session."""
    return read_settings()


@pytest.fixture(scope="session")
def control_plane(testbed_settings: Settings) -> Iterator[ControlPlane]:
    """An API server and etcd, without controllers: no other process changes what a test writes."""
    with _running(testbed_settings) as started:
        yield started


@pytest.fixture(scope="module")
def second_control_plane(testbed_settings: Settings) -> Iterator[ControlPlane]:
    """Another cluster's API server and etcd, for one module."""
    with _running(testbed_settings) as started:
        yield started


@pytest.fixture(scope="session")
def control_plane_with_controllers(testbed_settings: Settings) -> Iterator[ControlPlane]:
    """An API server, etcd and the controller manager: Deployments create pods, owned objects are collected."""
    with _running(testbed_settings, controllers=True) as started:
        yield started


@contextmanager
def _running(settings: Settings, *, controllers: bool = False) -> Iterator[ControlPlane]:
    with skipping(settings):
        started = start_control_plane(settings, controllers=controllers)
    try:
        yield started
    finally:
        started.close()


@dataclass(frozen=True, slots=True)
class ExistingCluster:
    """The user's own cluster (KUBECONFIG); it must be able to pull VoxFleet's images."""

    kubeconfig: Path

    @property
    def api(self) -> Api:
        """A client with the user's rights."""
        return api_from_kubeconfig(self.kubeconfig)


@pytest.fixture(scope="session")
def cluster(testbed_settings: Settings) -> Iterator[Cluster | ExistingCluster]:
    """Two regional nodes, eu-central and us-east, VoxFleet's images loaded; or the cluster that KUBECONFIG names."""
    if testbed_settings.kubeconfig is not None:
        yield ExistingCluster(testbed_settings.kubeconfig)
        return
    with skipping(testbed_settings):
        started = start_loaded_cluster(testbed_settings)
    try:
        yield started
    finally:
        started.close()


@contextmanager
def skipping(settings: Settings) -> Iterator[None]:
    """Turn UnavailableError into a skip, or under CI into a failure."""
    try:
        yield
    except UnavailableError as missing:
        if settings.ci:
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def own_address_or_skip() -> str:
    """Return an address of this machine that is not loopback; without one the test is skipped, or fails under CI."""
    with skipping(read_settings()):
        return own_address()
