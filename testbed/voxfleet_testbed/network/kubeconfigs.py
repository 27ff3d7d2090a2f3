"""Kubeconfig files as values: one cluster, one user, one context, certificates inline."""

from __future__ import annotations

import base64
from typing import Any

from voxfleet_testbed.network.certificates import KeyPair


def kubeconfig(server: str, authority: bytes, user: KeyPair, *, name: str) -> dict[str, Any]:
    """Return a kubeconfig with inline certificates, so that a copy needs no other file."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _encoded(authority)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _encoded(user.certificate),
                    "client-key-data": _encoded(user.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()
