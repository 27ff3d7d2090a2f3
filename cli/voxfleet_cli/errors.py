"""Every exception that the command line raises on purpose; each message is what the user reads.

CliError
├── EntryError       a value that a key's entry can't have, or an entry that isn't one
├── UnknownKeyError  there is no key of that id
├── StoreError       the Secret can't be read or written
├── PartMissingError a command's part is not installed
├── ClusterError     the cluster can't be reached, or refuses
│   └── AbsentError  the object does not exist
├── GatewayError     the gateway did not respond, or not as expected
└── UsageError       an option's value is not usable; exit status 2
"""


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


class GatewayError(CliError):
    """The gateway did not respond, or not as expected."""


class UsageError(CliError):
    """An option's value is not usable."""

    exit_code = 2
