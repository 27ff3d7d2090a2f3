"""Parses a remote region's kubeconfig, and refuses everything in it that acts on the operator's own machine or network.

The Secret's author is not an administrator: a server's URL, a CA, and an inline token or client certificate are used,
and nothing else. Does not know Secrets, and connects to nothing.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from voxfleet_operator.decisions.remote.addresses import Network, address_problem

LONGEST_KUBECONFIG_BYTES = 2**16  # one context takes some 6 KB; parsing a Secret's 1 MiB would take seconds
CREDENTIALS = "give token, or client-certificate-data and client-key-data"
FILE = "is a file of the operator's own pod"

# Fields that are refused by name, and why. A field of neither table is refused too.
CLUSTER_REFUSED = {
    "insecure-skip-tls-verify": "is refused, because the server would not be verified: give certificate-authority-data",
    "certificate-authority": f"{FILE}: give certificate-authority-data, the file in base64",
    "proxy-url": "is refused, because the operator itself must see the address that it connects to: leave it out",
}
USER_REFUSED = {
    "exec": f"is refused, because it runs a program in the operator's pod: {CREDENTIALS}",
    "auth-provider": f"is refused, and Kubernetes has removed it: {CREDENTIALS}",
    "tokenFile": f"{FILE}: give token",
    "client-certificate": f"{FILE}: give client-certificate-data, the file in base64",
    "client-key": f"{FILE}: give client-key-data, the file in base64",
    "username": f"is refused, because no API server accepts it any more: {CREDENTIALS}",
    "password": f"is refused, because no API server accepts it any more: {CREDENTIALS}",
}
CLUSTER_FIELDS = frozenset(
    {"server", "certificate-authority-data", "tls-server-name", "disable-compression", "extensions"}
)
USER_FIELDS = frozenset({"token", "client-certificate-data", "client-key-data", "extensions"})

OFF = ("false", "null", "~")  # as BaseLoader reads them
TOKEN = re.compile(r"[!-~]+")  # printable and without spaces: it becomes a header
HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?\Z")
PATH = re.compile(r"(/[-._~A-Za-z0-9]+)*/?")
PEM = re.compile(rb"-----BEGIN [A-Z ]+-----")


class KubeconfigRefusedError(ValueError):
    """The kubeconfig is not used; the message names the field, what is wrong and what to give."""


@dataclass(frozen=True, slots=True)
class KubeConfig:
    """The server and the credentials of a remote cluster. PEM as text; an empty `authority`: the system's."""

    server: str
    authority: str = ""
    server_name: str = ""
    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)


def parse_kubeconfig(content: bytes, allowed: tuple[Network, ...]) -> KubeConfig:
    """Return what the current context names. Raises KubeconfigRefusedError."""
    whole = _parsed(content)
    context = _entry(whole, "contexts", "context", _text(whole, "current-context", "kubeconfig"))
    cluster = _entry(whole, "clusters", "cluster", _text(context, "cluster", "context"))
    user = _entry(whole, "users", "user", _text(context, "user", "context"))
    _check(cluster, "cluster", CLUSTER_REFUSED, CLUSTER_FIELDS)
    _check(user, "user", USER_REFUSED, USER_FIELDS)
    token = _optional(user, "user", "token")
    if token and not TOKEN.fullmatch(token):
        raise KubeconfigRefusedError("user.token has spaces or characters that no token has: copy it again")
    certificate, key = _pem(user, "user", "client-certificate-data"), _pem(user, "user", "client-key-data")
    if bool(certificate) != bool(key):
        missing = "client-key-data" if certificate else "client-certificate-data"
        raise KubeconfigRefusedError(f"user.{missing} is missing: certificate and key belong together")
    if not token and not certificate:
        raise KubeconfigRefusedError(f"user has no credentials: {CREDENTIALS}")
    authority = _pem(cluster, "cluster", "certificate-authority-data")
    server_name = _optional(cluster, "cluster", "tls-server-name")
    if server_name and not HOST_NAME.match(server_name.lower()):
        raise KubeconfigRefusedError(f"cluster.tls-server-name {server_name!r} is no host name")
    server = _checked_server(_text(cluster, "server", "cluster"), allowed)
    return KubeConfig(server, authority, server_name, token, certificate, key)


def _parsed(content: bytes) -> Mapping[str, Any]:
    if len(content) > LONGEST_KUBECONFIG_BYTES:
        raise KubeconfigRefusedError(f"the kubeconfig has {len(content)} bytes, more than {LONGEST_KUBECONFIG_BYTES}")
    try:
        # BaseLoader makes texts, lists and mappings only, whatever tags the document has.
        whole = yaml.load(content.decode(), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Not the error's own words: they quote the file, and this is written into a resource's status.
        mark = getattr(error, "problem_mark", None)
        where = f" from line {mark.line + 1}, column {mark.column + 1} on" if mark else ""
        raise KubeconfigRefusedError(f"the kubeconfig is no YAML{where}") from error
    if not isinstance(whole, Mapping):
        raise KubeconfigRefusedError(
            "the kubeconfig is no YAML mapping: give a whole kubeconfig, not a token or a path"
        )
    return whole


def _entry(whole: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    """Return the entry of one name; the first of several, as kubectl takes it."""
    listed = whole.get(plural)
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping) and each.get("name") == name:
            content = each.get(singular)
            if isinstance(content, Mapping):
                return content
            raise KubeconfigRefusedError(f"{plural}[{name}].{singular} is missing")
    raise KubeconfigRefusedError(f"{plural} has no entry named {name!r}")


def _text(given: Mapping[str, Any], name: str, where: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise KubeconfigRefusedError(f"{where}.{name} is missing")
    return value


def _optional(given: Mapping[str, Any], where: str, name: str) -> str:
    value = given.get(name) or ""
    if not isinstance(value, str):
        raise KubeconfigRefusedError(f"{where}.{name} is no text")
    return "" if value in OFF else value


def _check(given: Mapping[str, Any], where: str, refused: Mapping[str, str], known: frozenset[str]) -> None:
    """Refuse fields by name, and unknown ones; one that is set to nothing or to false is as good as absent."""
    for name, value in given.items():
        if not value or value in OFF:
            continue
        if name in refused:
            raise KubeconfigRefusedError(f"{where}.{name} {refused[name]}")
        if name not in known:
            raise KubeconfigRefusedError(f"{where}.{str(name)[:60]} is not supported: leave it out")


def _pem(given: Mapping[str, Any], where: str, name: str) -> str:
    value = _optional(given, where, name)
    if not value:
        return ""
    try:
        decoded = base64.b64decode(value, validate=True)
        text = decoded.decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise KubeconfigRefusedError(f"{where}.{name} is not PEM in base64") from error
    if not PEM.search(decoded):
        raise KubeconfigRefusedError(f"{where}.{name} is not PEM in base64")
    return text


def _checked_server(server: str, allowed: tuple[Network, ...]) -> str:
    """Return the URL without a slash at its end; what its host name resolves to is checked when it is connected to."""
    try:
        parts = urlsplit(server)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise KubeconfigRefusedError(f"cluster.server {server[:100]!r} is no URL") from error
    if parts.scheme != "https":
        raise KubeconfigRefusedError(f"cluster.server {server[:100]!r} must be an https URL")
    if "@" in parts.netloc or parts.query or parts.fragment or not PATH.fullmatch(parts.path) or not host:
        raise KubeconfigRefusedError(f"cluster.server {server[:100]!r} must be https://HOST[:PORT][/PATH] and no more")
    if _is_address(host):
        problem = address_problem(host, allowed)
    else:
        local = host == "localhost" or host.endswith(".localhost")
        problem = f"{host} is the operator's own machine" if local else ""
        problem = problem or ("" if HOST_NAME.match(host) else f"{host[:100]!r} is no host name")
    if problem:
        raise KubeconfigRefusedError(f"cluster.server {server[:100]!r}: {problem}")
    name = f"[{host}]" if ":" in host else host
    return f"https://{name}{f':{port}' if port is not None else ''}{parts.path.rstrip('/')}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
