"""The TLS certificate of the API's port, read again when its files change, as cert-manager and kubelet replace them.

Knows: that open connections keep the certificate that they began with; that a pair which does not fit together
replaces nothing. Does not know: sockets, issuers.
"""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from voxfleet_gateway.changed_files import CHECK_SECONDS, Version, follow_files, version_of
from voxfleet_gateway.errors import SettingsError


@dataclass(slots=True)
class Certificates:
    """A context for handshakes; it is changed in place, so that the next handshake gets the new certificate."""

    certificate: Path
    key: Path
    context: ssl.SSLContext = field(default_factory=lambda: new_context())  # noqa: PLW0108  # defined below
    version: Version = ()

    def load(self) -> None:
        """Read both files. Raises SettingsError, and keeps the old pair, when they are not a pair."""
        self.version = version_of(self._paths)
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
        events = "certificate_reloaded", "certificate_not_reloaded"
        await follow_files(lambda: self.version, self._paths, self.load, events, check_seconds)

    @property
    def _paths(self) -> tuple[Path, ...]:
        return self.certificate, self.key


def new_context() -> ssl.SSLContext:
    """Return a server's context: TLS 1.2 and later, HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
