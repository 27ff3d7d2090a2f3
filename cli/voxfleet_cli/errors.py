"""Every exception that the command line raises on purpose; each message is what the user reads.

CliError
├── EntryError      a value that a key's entry can't have, or an entry that isn't one
├── UnknownKeyError there is no key of that id
└── StoreError      the Secret can't be read or written
"""


class CliError(Exception):
    """The root of the tree."""


class EntryError(CliError):
    """A value that a key's entry can't have, or an entry that isn't one."""


class UnknownKeyError(CliError):
    """There is no key of that id."""


class StoreError(CliError):
    """The Secret can't be read or written."""
