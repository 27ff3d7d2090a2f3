"""The API keys and the tenants' limits of this process, read again when their files change.

Knows: that no folder of keys means an open gateway, and an empty folder one that refuses every request; that a file
which cannot be read leaves what was read before.
Does not know: what a key or a limit is used for.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from voxfleet_gateway.accounts.text_files import TextFiles
from voxfleet_gateway.decisions.accounts.api_keys import KeyRing
from voxfleet_gateway.decisions.accounts.limits import Limits, parse_tenants
from voxfleet_gateway.errors import SettingsError, TenantEntryError
from voxfleet_gateway.telemetry import API_KEYS, API_KEYS_INVALID, RELOAD_FAILURES

RELOAD_SECONDS = 1.0  # between two looks at the files; the kubelet itself takes up to a minute to write them

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class KeyStore:
    """Keys and limits as of the newest reading."""

    keys_folder: str
    tenants_file: str
    ring: KeyRing | None = None  # None: no key is asked for
    tenants: Mapping[str, Limits] = field(default_factory=dict)
    key_files: TextFiles | None = None
    tenant_files: TextFiles | None = None
    failing: set[str] = field(default_factory=set)  # what could not be read at the last look

    def open(self) -> None:
        """Read both for the first time. Raises SettingsError when one is named and cannot be read."""
        if not self.keys_folder:
            log.warning("open_gateway", reason="VOXFLEET_KEYS_FOLDER is empty: requests need no API key")
        else:
            self.key_files, self.ring = TextFiles(Path(self.keys_folder)), KeyRing()
        if self.tenants_file:
            self.tenant_files = TextFiles(Path(self.tenants_file))
        try:
            self._read_keys()
        except OSError as error:
            raise SettingsError(f"VOXFLEET_KEYS_FOLDER (--keys-folder): {error}") from error
        try:
            self._read_tenants()
        except (OSError, TenantEntryError) as error:
            raise SettingsError(f"VOXFLEET_TENANTS_FILE (--tenants-file): {error}") from error

    async def run(self) -> None:
        """Reload until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            await asyncio.to_thread(self.reload)  # a Secret may have thousands of entries

    def reload(self) -> None:
        """Read what has changed; log a failure once."""
        for name, read in (("keys", self._read_keys), ("tenants", self._read_tenants)):
            try:
                read()
                self.failing.discard(name)
            except (OSError, TenantEntryError) as error:
                RELOAD_FAILURES.labels(name).inc()  # at each look, so that the counter rises as long as it lasts
                if name not in self.failing:
                    log.warning("reload_failed", what=name, error=str(error))
                self.failing.add(name)

    def _read_keys(self) -> None:
        texts = self.key_files.read_changed() if self.key_files is not None else None
        if texts is None:
            return
        before = self.ring.invalid if self.ring is not None else {}
        self.ring = KeyRing.of(texts)
        for key_id, reason in self.ring.invalid.items():
            if before.get(key_id) != reason:
                log.warning("api_key_ignored", key_id=key_id, reason=reason)
        API_KEYS.set(len(self.ring.by_hash))
        API_KEYS_INVALID.set(len(self.ring.invalid))
        log.info("api_keys_read", keys=len(self.ring.by_hash), invalid=len(self.ring.invalid))

    def _read_tenants(self) -> None:
        texts = self.tenant_files.read_changed() if self.tenant_files is not None else None
        if texts is None or self.tenant_files is None:
            return
        try:
            self.tenants = parse_tenants("".join(texts.values()))
        except TenantEntryError:
            self.tenant_files.version = None  # the next look reads them again, and fails again
            raise
        log.info("tenants_read", tenants=len(self.tenants))
