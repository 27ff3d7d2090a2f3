"""Certificates of regions, by one authority, in folders as a mounted Secret has them."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from voxfleet_testbed.network.certificates import LIFETIME, Authority, Identity, make_authority

NOW = dt.datetime.now(dt.UTC)


@dataclass
class PeerFolders:
    """Makes one folder per region."""

    root: Path
    authority: Authority = field(default_factory=lambda: make_authority("peers", NOW))

    def issue(
        self, region: str, *names: str, authority: Authority | None = None, is_expired: bool = False, folder: str = ""
    ) -> Path:
        """Write the region's files, for other DNS names than its own if any are given."""
        made = self.root / (folder or region)
        made.mkdir(exist_ok=True)
        signer = authority or self.authority
        begin = NOW - LIFETIME - dt.timedelta(hours=1) if is_expired else NOW
        pair = signer.issue(Identity(region, names=names or (region,)), begin)
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": signer.pem()}
        for name, data in files.items():
            new = made / f"{name}.new"
            new.write_bytes(data)
            new.rename(made / name)
        return made


@pytest.fixture
def peer_folders(tmp_path: Path) -> PeerFolders:
    return PeerFolders(tmp_path)


@pytest.fixture
def new_authority() -> Callable[[], Authority]:
    return lambda: make_authority("others", NOW)
