"""Which remote clusters are connected: one connection per distinct kubeconfig, for as long as a resource needs it.

Knows which resources use which Secrets, and reads each Secret again every so often, because the operator may get
Secrets and not watch them. Does not know what is done in a cluster (connection.py and its tasks).
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from voxfleet_operator.cluster.remote.connection import Connection
from voxfleet_operator.decisions.remote.absence import CONNECTING, Absence, kubeconfig_refused
from voxfleet_operator.decisions.remote.addresses import Network
from voxfleet_operator.decisions.remote.kubeconfigs import KubeConfig, KubeconfigRefusedError, parse_kubeconfig
from voxfleet_operator.decisions.remote.recorded import SecretKey
from voxfleet_operator.resources import Key

# An unreadable kubeconfig is being mended, or the own API server restarts.
SOON_SECONDS = 2.0

log = structlog.get_logger(__name__)

Read = Callable[[SecretKey], Awaitable[bytes | Absence | None]]
# Gets the kubeconfig, and a function that returns the uses of the connection: resources with Secrets.
Uses = Callable[[], set[tuple[Key, SecretKey]]]
Connect = Callable[[KubeConfig, Uses], Connection]


@dataclass(slots=True)
class Source:
    """A Secret in use: the resources that name it, the digest of its content, and why it is not usable.

    `absence` with a digest: the Secret is gone, and the connection by its last content goes on, so that
    `kubectl delete` of a Secret and its resource in one command leaves nothing behind.
    """

    users: set[Key]
    task: asyncio.Task[None]
    digest: str = ""
    absence: Absence | None = CONNECTING


@dataclass(slots=True)
class Opened:
    """An open connection, its task, and the Secrets that have its kubeconfig."""

    connection: Connection
    task: asyncio.Task[None]
    secrets: set[SecretKey] = field(default_factory=set)


@dataclass(slots=True)
class RemoteClusters:
    """The remote clusters in use."""

    read: Read
    connect: Connect
    enqueue: Callable[[Key], None]
    allowed: tuple[Network, ...]
    poll_seconds: float
    sources: dict[SecretKey, Source] = field(default_factory=dict)
    opened: dict[str, Opened] = field(default_factory=dict)
    closing: set[asyncio.Task[None]] = field(default_factory=set)

    def use(self, key: Key, secrets: frozenset[SecretKey]) -> None:
        """Say which Secrets a resource needs from now on."""
        for secret in secrets - self.sources.keys():
            self.sources[secret] = Source(set(), asyncio.create_task(self._follow(secret)))
        for secret in list(self.sources):
            users = self.sources[secret].users
            if secret in secrets:
                users.add(key)
            else:
                users.discard(key)
                if not users:
                    self._drop(secret)

    def absence(self, secret: SecretKey) -> Absence | None:
        """Return why the cluster of a Secret is not usable now, or None."""
        source = self.sources.get(secret)
        if source is None:
            return CONNECTING
        opened = self.opened.get(source.digest)
        if opened is None:
            return source.absence or CONNECTING
        return opened.connection.absence

    def warning(self, secret: SecretKey) -> Absence | None:
        """Return what is wrong with a Secret whose cluster is usable all the same."""
        source = self.sources.get(secret)
        return source.absence if source is not None and source.digest in self.opened else None

    def reconcile(self, key: Key, secret: SecretKey) -> None:
        """Have a cluster's workers reconcile a resource's regions there, once it is connected."""
        opened = self.opened.get(self.sources[secret].digest) if secret in self.sources else None
        if opened is not None:
            opened.connection.enqueue(key, secret)

    def up(self) -> dict[str, bool]:
        """Return which servers are connected; of two connections to one server, both must be."""
        found: dict[str, bool] = {}
        for each in self.opened.values():
            server = each.connection.server
            found[server] = found.get(server, True) and each.connection.absence is None
        return found

    async def close(self) -> None:
        """Close all connections."""
        for secret in list(self.sources):
            self._drop(secret)
        await asyncio.gather(*self.closing)

    async def _follow(self, secret: SecretKey) -> None:
        """Read a Secret again and again."""
        while True:
            content = await self.read(secret)
            source = self.sources[secret]
            before = (source.digest, source.absence)
            if content is not None:
                self._take(secret, source, content)
            if (source.digest, source.absence) != before:
                self._enqueue(source)
            is_bad = content is None or source.absence is not None
            await asyncio.sleep(min(SOON_SECONDS, self.poll_seconds) if is_bad else self.poll_seconds)

    def _take(self, secret: SecretKey, source: Source, content: bytes | Absence) -> None:
        if isinstance(content, Absence):
            source.absence = content
            if content.reason != "SecretNotFound":
                self._leave(secret, source)
            return
        digest = hashlib.sha256(content).hexdigest()
        if digest == source.digest:
            source.absence = None
            return
        try:
            config = parse_kubeconfig(content, self.allowed)
            opened = self.opened.get(digest) or self._open(config, digest)
        except KubeconfigRefusedError as error:
            source.absence = kubeconfig_refused(secret, str(error))
            self._leave(secret, source)
            return
        self._leave(secret, source)
        opened.secrets.add(secret)
        source.digest, source.absence = digest, None

    def _open(self, config: KubeConfig, digest: str) -> Opened:
        secrets: set[SecretKey] = set()
        connection = self.connect(config, lambda: {(key, each) for each in secrets for key in self.sources[each].users})
        log.info("remote cluster opened", server=config.server)
        opened = Opened(connection, asyncio.create_task(connection.run()), secrets)
        self.opened[digest] = opened
        return opened

    def _leave(self, secret: SecretKey, source: Source) -> None:
        """Take a Secret off its connection, which is closed when it was the last."""
        opened = self.opened.get(source.digest)
        source.digest = ""
        if opened is None:
            return
        opened.secrets.discard(secret)
        if opened.secrets:
            return
        self.opened = {digest: each for digest, each in self.opened.items() if each is not opened}
        log.info("remote cluster closed", server=opened.connection.server)
        task = asyncio.create_task(_close(opened))
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    def _drop(self, secret: SecretKey) -> None:
        source = self.sources[secret]
        self._leave(secret, source)
        del self.sources[secret]
        source.task.cancel()

    def _enqueue(self, source: Source) -> None:
        for key in source.users:
            self.enqueue(key)


async def _close(opened: Opened) -> None:
    opened.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await opened.task
    await opened.connection.close()
