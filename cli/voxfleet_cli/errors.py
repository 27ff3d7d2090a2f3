"""Every exception that the command line raises on purpose; each message is what the user reads.

CliError
├── EntryError       a value that a key's entry can't have, or an entry that isn't one
├── UnknownKeyError  there is no key of that id
├── StoreError       the Secret can't be read or written
├── PartMissingError a command's part is not installed
├── ClusterError     the cluster can't be reached, or refuses
│   ├── AbsentError    the object does not exist
│   ├── ConflictError  another writer was first
│   └── ForbiddenError the user has not the right to it
├── GatewayError     the gateway did not respond, or not as expected
├── OutputError      a file can't be written
├── RefusedError     the resource's state, or a setting of it, does not allow what the command asks for
└── UsageError       an option's value is not usable; exit status 2
"""

import re

# Kubernetes' words for a missing right; without a namespace it is the cluster's.
LACKING = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)


def reason_of(error: Exception) -> str:
    """Return why something failed, without a system error's number and without the file, which the message has."""
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


class CliError(Exception):
    """The root of the tree."""

    exit_code = 1


class EntryError(CliError):
    """A value that a key's entry can't have, or an entry that isn't one."""


class UnknownKeyError(CliError):
    """There is no key of that id."""


class StoreError(CliError):
    """The Secret can't be read or written."""


class PartMissingError(CliError):
    """A command's part is not installed."""


class ClusterError(CliError):
    """The cluster can't be reached, or refuses."""


class AbsentError(ClusterError):
    """The object does not exist."""


class ConflictError(ClusterError):
    """Another writer was first."""


class ForbiddenError(ClusterError):
    """The user has not the right to it."""

    @property
    def lacking(self) -> str:
        """The right in kubectl's words, such as `list pods in voxfleet-system`; empty where the text names none."""
        found = LACKING.search(str(self))
        if not found:
            return ""
        verb, resource, group, namespace = found.group("verb", "resource", "group", "namespace")
        return f"{verb} {resource}{f'.{group}' if group else ''}{f' in {namespace}' if namespace else ''}"


class OutputError(CliError):
    """A file can't be written."""


class RefusedError(CliError):
    """The resource's state, or a setting of it, does not allow what the command asks for."""


class GatewayError(CliError):
    """The gateway did not respond, or not as expected."""


class UsageError(CliError):
    """An option's value is not usable."""

    exit_code = 2
