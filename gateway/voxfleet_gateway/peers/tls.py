"""Mutual TLS between gateways: a region is known by its certificate, a DNS name of which is the region's name.

Knows: the shared CA, this region's certificate, both read again when their files change; that no handshake is shortened
by an earlier session, so that an expired certificate ends with its connections.
Does not know: sockets, issuers; which regions there are (the registry has them).
"""

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from voxfleet_gateway.changed_files import CHECK_SECONDS, Version, follow_files, version_of
from voxfleet_gateway.errors import PeerCertificateError, SettingsError

# Of the mounted Secret, as cert-manager names them.
CERTIFICATE_FILE, KEY_FILE, CA_FILE = "tls.crt", "tls.key", "ca.crt"
HANDSHAKE_TURNS = 6  # of client and server: TLS 1.3 takes three

log = structlog.get_logger(__name__)

Certificate = Mapping[str, Any]  # as SSLSocket.getpeercert() returns it


@dataclass(slots=True)
class PeerTls:
    """The contexts of both directions; handshakes use the newest, and connections go on with theirs."""

    folder: Path
    region: str = ""  # this gateway's own, which its certificate should be for
    server: ssl.SSLContext = field(init=False)  # of handshakes that peers begin
    client: ssl.SSLContext = field(init=False)  # of handshakes that this gateway begins: server_hostname is a region
    listening: ssl.SSLContext = field(init=False)  # given to the listening socket once; hands over to `server`
    version: Version = ()

    @classmethod
    def of(cls, folder: Path, region: str = "") -> "PeerTls":
        """Return the contexts of a folder's files. Raises SettingsError."""
        tls = cls(folder, region)
        tls.load()
        tls.listening = tls._server_context()
        tls.listening.sni_callback = tls._hand_over
        return tls

    def load(self) -> None:
        """Read the files. Raises SettingsError, and keeps the old contexts, when they do not fit together."""
        self.version = version_of(self._paths)
        try:
            self.server, self.client = self._server_context(), self._client_context()
        except (OSError, ssl.SSLError) as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise SettingsError(
                f"VOXFLEET_PEER_TLS_FOLDER (--peer-tls-folder) {self.folder}: {CERTIFICATE_FILE}, {KEY_FILE} and "
                f"{CA_FILE} are no certificate with its key and CA: {reason}"
            ) from error
        if self.region and (fault := handshake_fault(self.server, self.client, self.region)) is not None:
            # Not fatal: this region serves its own clients meanwhile.
            log.error("peer_certificate_refused", region=self.region, folder=str(self.folder), error=fault)

    async def follow(self, check_seconds: float = CHECK_SECONDS) -> None:
        """Load the files whenever they have changed, until cancelled."""
        events = "peer_certificate_reloaded", "peer_certificate_not_reloaded"
        await follow_files(lambda: self.version, self._paths, self.load, events, check_seconds)

    def is_current(self, connection: ssl.SSLObject | ssl.SSLSocket) -> bool:
        """Whether a connection that a peer opened was checked against the present CA."""
        return connection.context is self.server

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # OpenSSL calls it for every handshake, with a server name or without. The new context brings its certificate
        # and the CAs that the peer's is verified by; that one is required is the same in both.
        connection.context = self.server

    def _server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0  # a resumed session would not verify the client's certificate again
        context.verify_mode = ssl.CERT_REQUIRED
        return self._with_files(context)

    def _client_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate, and checks its name
        context.hostname_checks_common_name = False
        return self._with_files(context)

    def _with_files(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3  # both ends are this program
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.folder / CERTIFICATE_FILE, self.folder / KEY_FILE)
        context.load_verify_locations(self.folder / CA_FILE)  # and no other CA
        return context

    @property
    def _paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in (CERTIFICATE_FILE, KEY_FILE, CA_FILE))


def handshake_fault(server: ssl.SSLContext, client: ssl.SSLContext, region: str) -> str | None:
    """Return why a peer would refuse this gateway's certificate: a handshake with itself, in memory, finds out."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=region),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for turn in range(HANDSHAKE_TURNS):
        try:
            ends[turn % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            return str(error)
    return None


def dns_names(certificate: Certificate) -> frozenset[str]:
    """Return the DNS names that the certificate is for; its common name is none of them."""
    return frozenset(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")


def region_of(certificate: Certificate | None, known: Collection[str], now_seconds: float) -> str:
    """Return the one known region that a verified certificate is for, at this time since the epoch.

    Raises PeerCertificateError: a connection may outlive its certificate, and a region the registry.
    """
    if not certificate:
        raise PeerCertificateError("the connection has no client certificate")
    names = dns_names(certificate)
    found = sorted(names.intersection(known))
    if len(found) != 1:
        shown = ", ".join(sorted(names)[:5]) or "none"
        fault = "several regions" if found else "no region that the registry names"
        raise PeerCertificateError(f"the certificate's DNS names are of {fault}: {shown:.300}")
    if ssl.cert_time_to_seconds(certificate["notAfter"]) <= now_seconds:
        raise PeerCertificateError(f"the certificate of region {found[0]} expired at {certificate['notAfter']}")
    return found[0]
