"""The TLS certificate of the API's port, read again when its files change, as cert-manager and kubelet replace them.

Knows: that open connections keep the certificate that they began with; that a pair which does not fit together
replaces nothing. Does not know: sockets, issuers.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from voxfleet_gateway.errors import SettingsError

CHECK_SECONDS = 5.0  # kubelet replaces a Secret's files within a minute or two

log = structlog.get_logger(__name__)

Version = tuple[tuple[int, int, int], ...]


@dataclass(slots=True)
class Certificates:
    """A context for handshakes; it is changed in place, so that the next handshake gets the new certificate."""

    certificate: Path
    key: Path
    context: ssl.SSLContext = field(default_factory=lambda: new_context())  # noqa: PLW0108  # defined below
    version: Version = ()

    def load(self) -> None:
        """Read both files. Raises SettingsError, and keeps the old pair, when they are not a pair."""
        self.version = self._version_now()
        try:
            new_context().load_cert_chain(self.certificate, self.key)  # a context that fails halfway has no use
            self.context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if not isinstance(error, ssl.SSLError) else error.reason
            raise SettingsError(
                f"--tls-certificate {self.certificate} and --tls-key {self.key} are no certificate with its key: "
                f"{reason}"
            ) from error

    async def follow(self, check_seconds: float = CHECK_SECONDS) -> None:
        """Load the files whenever they have changed, until cancelled."""
        while True:
            await asyncio.sleep(check_seconds)
            if self._version_now() == self.version:
                continue
            try:
                await asyncio.to_thread(self.load)
                log.info("certificate_reloaded")
            except SettingsError as error:
                log.warning("certificate_not_reloaded", error=str(error))

    def _version_now(self) -> Version:
        try:
            found = [path.stat() for path in (self.certificate, self.key)]
        except OSError:
            return ()
        # With the inode: Kubernetes replaces a file, perhaps by one of the same size and time.
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def new_context() -> ssl.SSLContext:
    """Return a server's context: TLS 1.2 and later, HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
