"""Where the Secret is: in a cluster, or as a manifest in a file, for GitOps.

Knows: manifests, optimistic concurrency by resourceVersion.
Does not know: what the entries mean, how a cluster is reached.
"""

import base64
import binascii
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from voxfleet_cli.cluster import Cluster
from voxfleet_cli.errors import ClusterError, StoreError, reason_of
from voxfleet_cli.keys.changes import Change

ATTEMPTS = 5  # each after another writer was first
CONFLICT, NOT_FOUND, FORBIDDEN = 409, 404, 403
VERBS = {"GET": "read", "POST": "create", "PUT": "update"}
LABELS = {"app.kubernetes.io/part-of": "voxfleet", "app.kubernetes.io/component": "gateway"}

Manifest = dict[str, Any]


class Store(Protocol):
    """Keeps one Secret."""

    def read(self) -> dict[str, str]:
        """Return the entries; none where there is no Secret yet. Raises StoreError."""

    def apply(self, change: Change) -> dict[str, str]:
        """Write and return the changed entries. Raises StoreError, and what the change raises."""

    def preview(self, change: Change) -> Manifest:
        """Return the manifest that `apply` would write."""


def manifest_of(name: str, namespace: str, texts: Mapping[str, str]) -> Manifest:
    """Return the Secret's manifest.

    With `data` and not `stringData`: an entry that disappears from stringData stays in the cluster's Secret, so that a
    revoked key would remain valid.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "type": "Opaque",
        "data": encoded(texts),
    }


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """Return entries as a Secret's data."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in sorted(texts.items())}


def texts_of(manifest: Manifest) -> dict[str, str]:
    """Return a Secret's entries. Raises StoreError."""
    if manifest.get("stringData"):
        raise StoreError("the Secret's manifest has stringData, from which a key can't be revoked; move it to data")
    try:
        return {
            key: base64.b64decode(value, validate=True).decode(errors="replace")
            for key, value in (manifest.get("data") or {}).items()
        }
    except (binascii.Error, TypeError, AttributeError) as error:
        raise StoreError(f"the Secret's data is not base64: {error}") from error


@dataclass(slots=True)
class FileStore:
    """A manifest in a file; it is replaced at once."""

    path: Path
    name: str
    namespace: str

    def read(self) -> dict[str, str]:
        """Return the entries of the file; none when it does not exist."""
        return texts_of(self._manifest())

    def apply(self, change: Change) -> dict[str, str]:
        """Replace the file."""
        manifest, temporary = self.preview(change), self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            temporary.write_text(yaml.safe_dump(manifest, sort_keys=False), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            raise StoreError(f"{self.path} can't be written: {reason_of(error)}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return texts_of(manifest)

    def preview(self, change: Change) -> Manifest:
        """Return the manifest with changed entries; its other fields stay as they are."""
        manifest = self._manifest()
        return manifest | {"data": encoded(change(texts_of(manifest)))}

    def _manifest(self) -> Manifest:
        try:
            found = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return manifest_of(self.name, self.namespace, {})
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise StoreError(f"{self.path} can't be read: {reason_of(error)}") from error
        if not isinstance(found, dict) or found.get("kind") != "Secret":
            raise StoreError(f"{self.path} is no manifest of a Secret")
        return found


@dataclass(slots=True)
class ClusterStore:
    """A Secret of a cluster."""

    name: str
    namespace: str
    cluster: Cluster

    def read(self) -> dict[str, str]:
        """Return the entries; none when there is no such Secret."""
        found = self._sent("GET", self._path)
        return texts_of(found) if found is not None else {}

    def apply(self, change: Change) -> dict[str, str]:
        """Write on the newest version; when another writer was first, make the change again on that one's."""
        for _ in range(ATTEMPTS):
            found = self._sent("GET", self._path)
            texts = change(texts_of(found) if found is not None else {})
            if found is None:
                is_written = self._sent("POST", self._folder, self._manifest(texts))
            else:
                # It carries the resourceVersion that was read: a version in between is a conflict.
                is_written = self._sent("PUT", self._path, found | {"data": encoded(texts)})
            if is_written is not None:
                return texts
        raise StoreError(f"{self._what} was changed by others {ATTEMPTS} times meanwhile; try again")

    def preview(self, change: Change) -> Manifest:
        """Return the manifest that would be written, without the cluster's own fields."""
        return self._manifest(change(self.read()))

    @property
    def _what(self) -> str:
        return f"Secret {self.namespace}/{self.name}"

    @property
    def _folder(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def _path(self) -> str:
        return f"{self._folder}/{self.name}"

    def _manifest(self, texts: Mapping[str, str]) -> Manifest:
        return manifest_of(self.name, self.namespace, texts)

    def _sent(self, method: str, path: str, body: Manifest | None = None) -> Manifest | None:
        """Return the response; None where the object does not exist, or another writer was first. Raises StoreError."""
        verb = VERBS[method]
        try:
            answer = self.cluster.send(method, path, body)
        except ClusterError as error:
            raise StoreError(f"can't {verb} {self._what}: {error}") from error
        if answer.status == CONFLICT or (answer.status == NOT_FOUND and method == "GET"):
            return None
        found = _parsed(answer.content)
        if not answer.is_success:
            hint = "; keys need get, create and update on Secrets there" if answer.status == FORBIDDEN else ""
            raise StoreError(f"can't {verb} {self._what}: {found.get('message', f'status {answer.status}')}{hint}")
        return found


def _parsed(text: bytes) -> Manifest:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
