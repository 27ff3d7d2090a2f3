"""Which connections are open: one per distinct kubeconfig, for as long as a resource needs it."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from voxfleet_operator.cluster.remote.clusters import RemoteClusters, Uses
from voxfleet_operator.decisions.remote.absence import Absence, secret_forbidden, secret_not_found
from voxfleet_operator.decisions.remote.kubeconfigs import KubeConfig
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.resources import Key

NARRATOR, OTHER = Key("default", "narrator"), Key("default", "other")
AP, US = SecretKey("default", "ap", "value"), SecretKey("default", "us", "value")


def kubeconfig(token: str, **user: Any) -> bytes:
    body = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://ap.example.com"}}],
        "users": [{"name": "u", "user": {"token": token, **user}}],
    }
    return yaml.safe_dump(body).encode()


@dataclass
class World:
    """Secrets in a dict, and connections that only count."""

    secrets: dict[SecretKey, bytes | Absence | None] = field(default_factory=dict)
    open_tokens: list[str] = field(default_factory=list)
    enqueued: list[Key] = field(default_factory=list)
    reconciled: list[tuple[Key, SecretKey]] = field(default_factory=list)
    uses: dict[str, Uses] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clusters = RemoteClusters(self.read, self.connect, self.enqueued.append, (), 0.01)

    async def read(self, secret: SecretKey) -> bytes | Absence | None:
        return self.secrets.get(secret, secret_not_found(secret, has_key=False))

    def connect(self, config: KubeConfig, uses: Uses) -> Any:
        async def run() -> None:
            self.open_tokens.append(config.token)
            await asyncio.Event().wait()

        async def close() -> None:
            self.open_tokens.remove(config.token)

        def enqueue(key: Key, secret: SecretKey) -> None:
            self.reconciled.append((key, secret))

        self.uses[config.token] = uses
        return SimpleNamespace(server=config.server, absence=None, run=run, close=close, enqueue=enqueue)

    async def until_open(self, *tokens: str) -> None:
        async with asyncio.timeout(30):
            while sorted(self.open_tokens) != sorted(tokens):  # noqa: ASYNC110 - the change is in another task
                await asyncio.sleep(0.005)

    async def until_absent(self, secret: SecretKey, reason: str) -> Absence:
        async with asyncio.timeout(30):
            while (found := self.clusters.absence(secret)) is None or found.reason != reason:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return found


@pytest.fixture
def world() -> World:
    return World()


async def test_equal_kubeconfigs_share_a_connection_until_the_last_resource_left(world: World) -> None:
    world.secrets = {AP: kubeconfig("a"), US: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP, US}))
    world.clusters.use(OTHER, frozenset({US}))
    await world.until_open("a")
    async with asyncio.timeout(30):
        while len(world.uses["a"]()) < 3:  # noqa: ASYNC110 - the second Secret is read in its own task
            await asyncio.sleep(0.005)
    assert world.uses["a"]() == {(NARRATOR, AP), (NARRATOR, US), (OTHER, US)}
    assert world.clusters.absence(AP) is None
    assert world.clusters.up() == {"https://ap.example.com": True}
    world.clusters.use(NARRATOR, frozenset())
    await asyncio.sleep(0.05)
    assert world.open_tokens == ["a"]
    world.clusters.use(OTHER, frozenset())
    await world.until_open()
    assert world.clusters.up() == {}


async def test_a_changed_kubeconfig_replaces_the_connection(world: World) -> None:
    world.secrets = {AP: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP}))
    await world.until_open("a")
    world.secrets[AP] = kubeconfig("b")
    await world.until_open("b")
    assert NARRATOR in world.enqueued
    await world.clusters.close()
    assert world.open_tokens == []


async def test_one_that_changes_into_a_refused_one_closes_the_connection_and_heals(world: World) -> None:
    world.secrets = {AP: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP}))
    await world.until_open("a")
    world.secrets[AP] = kubeconfig("a", exec={"command": "sh"})
    refused = await world.until_absent(AP, "KubeconfigRefused")
    assert "user.exec" in refused.message
    assert str(AP) in refused.message
    assert refused.is_lasting
    await world.until_open()
    world.secrets[AP] = kubeconfig("c")
    await world.until_open("c")
    await world.clusters.close()


async def test_a_secret_that_is_gone_is_reported_and_its_connection_stays(world: World) -> None:
    world.secrets = {AP: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP}))
    await world.until_open("a")
    del world.secrets[AP]
    async with asyncio.timeout(30):
        while world.clusters.warning(AP) is None:  # noqa: ASYNC110 - the change is in another task
            await asyncio.sleep(0.005)
    assert world.clusters.absence(AP) is None
    assert world.open_tokens == ["a"]
    world.clusters.reconcile(NARRATOR, AP)
    assert world.reconciled == [(NARRATOR, AP)]
    await world.clusters.close()


async def test_a_grant_that_is_taken_away_closes_the_connection(world: World) -> None:
    world.secrets = {AP: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP}))
    await world.until_open("a")
    world.secrets[AP] = secret_forbidden(AP, "voxfleet-system:voxfleet-operator")
    forbidden = await world.until_absent(AP, "SecretForbidden")
    assert "kubectl create role voxfleet-kubeconfig -n default" in forbidden.message
    await world.until_open()
    await world.clusters.close()


async def test_while_the_own_api_server_does_not_answer_nothing_changes(world: World) -> None:
    world.secrets = {AP: kubeconfig("a")}
    world.clusters.use(NARRATOR, frozenset({AP}))
    await world.until_open("a")
    world.secrets[AP] = None
    await asyncio.sleep(0.05)
    assert world.clusters.absence(AP) is None
    assert world.clusters.warning(AP) is None
    await world.clusters.close()
