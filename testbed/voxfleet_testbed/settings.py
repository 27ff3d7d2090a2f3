"""The testbed's settings, read once from the environment.

| variable           | meaning                                                         | default           |
|--------------------|-----------------------------------------------------------------|-------------------|
| XDG_CACHE_HOME     | where built programs, base images and packages are kept          | ~/.cache          |
| TMPDIR             | where the folder of a running cluster lies                       | /tmp              |
| KUBEBUILDER_ASSETS | a folder with kube-apiserver and etcd, used instead of building  | unset             |
| KUBECONFIG         | an existing cluster, used by the fixtures instead of starting one| unset             |
| TESTBED_KUBERNETES | the version of Kubernetes that is built and run: 1.34, 1.37      | 1.34              |
| CI                 | when set, missing prerequisites fail tests instead of skipping   | unset             |
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GO_SOURCES = REPOSITORY / "testbed" / "go"


@dataclass(frozen=True, slots=True)
class Settings:
    """Folders, and what the user already has; the module's docstring has the variables."""

    cache: Path  # built programs, images, packages: shared by all checkouts of this user
    runs: Path  # one folder per running cluster
    kubebuilder_assets: Path | None
    kubeconfig: Path | None
    ci: bool
    kubernetes: str = ""  # a version; empty: the default


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from environment variables; an empty variable counts as unset."""
    cache_home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    temporary = environment.get("TMPDIR") or tempfile.gettempdir()
    assets, kubeconfig = environment.get("KUBEBUILDER_ASSETS"), environment.get("KUBECONFIG")
    return Settings(
        cache=Path(cache_home) / "voxfleet",
        # Short, because a Unix socket's path below it is limited to 108 bytes; per user, because /tmp is shared.
        runs=Path(temporary) / f"voxfleet-{os.getuid()}",
        kubebuilder_assets=Path(assets) if assets else None,
        kubeconfig=Path(kubeconfig) if kubeconfig else None,
        ci=bool(environment.get("CI")),
        kubernetes=environment.get("TESTBED_KUBERNETES", ""),
    )
