"""Brings a checkpoint from the Hugging Face hub into a folder.

Knows: hf:// addresses, which files of a repository a checkpoint is made of, that each must be the one the hub lists,
and how to say what went wrong. Does not know: what is inside the files.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ADDRESS: Final = re.compile(r"^hf://(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)$", re.ASCII)
_WANTED: Final = ("*.json", "*.safetensors", "*.pth", "pytorch_model.bin", "tokenizer.model")
_SERVER_ERROR: Final = 500


class FetchError(Exception):
    """The checkpoint could not be brought; the message says what to do."""


def fetch_checkpoint(source: str, revision: str, target: Path) -> int:
    """Download what is not there yet; returns the bytes that are there.

    Raises:
        FetchError: the address is wrong, or the hub said no, could not be reached, or sent something else.
    """
    repository = _repository(source)
    from huggingface_hub import HfApi  # noqa: PLC0415 - a second that --help need not wait for

    try:
        wrong = _download(HfApi(), repository, revision, target)
    except Exception as error:  # the client lets through what its HTTP library and its downloader raise
        raise FetchError(_explained(error, source, revision)) from error
    if wrong:
        raise FetchError(f"cannot fetch {source} at {revision}: {'; '.join(wrong)}: try again")
    files = [each for each in target.iterdir() if each.is_file()] if target.is_dir() else []
    if not any(each.name == "config.json" for each in files):
        raise FetchError(f"{source} at {revision} has no config.json: it is no checkpoint that can be served")
    return sum(each.stat().st_size for each in files)


def _download(hub: HfApi, repository: str, revision: str, target: Path) -> list[str]:
    """Bring the files; returns what is wrong with them.

    The client goes on where a connection broke, keeps whole files for the next run, and is content with the commit it
    brought before while the hub is silent, as long as nothing of it is missing.
    """
    commit = hub.resolve_revision(repository, revision=revision)
    hub.snapshot_download(repository, revision=commit, local_dir=target, allow_patterns=list(_WANTED))
    for half in target.glob(".cache/huggingface/download/*.incomplete"):
        half.unlink(missing_ok=True)  # of a run that was killed; the client never takes it up again
    return _put_aside_wrong_files(hub, repository, commit.resolved, target)


def _put_aside_wrong_files(hub: HfApi, repository: str, commit: str, target: Path) -> list[str]:
    """The client compares lengths alone; a file whose hash is not the hub's gets a name that nobody loads."""
    from httpx2 import TransportError  # noqa: PLC0415 - the client's HTTP library, whose errors it lets through
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        mismatches = hub.verify_repo_checksums(repository, revision=commit, local_dir=target).mismatches
    except TransportError:
        return []  # nothing came from it just now
    except HfHubHTTPError as error:
        if error.response.status_code < _SERVER_ERROR:
            raise
        return []
    found = [each for each in mismatches if any(fnmatch(each["path"], pattern) for pattern in _WANTED)]
    for each in found:
        (target / each["path"]).replace(target / f"{each['path']}.wrong")
    return [
        f"{each['path']} is not the hub's, its {each['algorithm']} is {each['actual']} and should be"
        f" {each['expected']} (it is now {each['path']}.wrong)"
        for each in found
    ]


def _repository(source: str) -> str:
    address = _ADDRESS.match(source)
    if address is None:
        raise FetchError(f"--source {source!r} is not of the form hf://owner/name")
    return address["repository"]


def _explained(error: Exception, source: str, revision: str) -> str:
    """One line; the hub's own messages are pages long."""
    kind = type(error).__name__
    advice = {
        "RepositoryNotFoundError": "no such repository, or it is private: check the name, or set HF_TOKEN",
        "GatedRepoError": "the repository is gated: ask for access on its page and set HF_TOKEN",
        "RevisionNotFoundError": f"there is no revision {revision!r}",
        "RevisionResolutionError": "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror",
        "LocalEntryNotFoundError": "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror",
    }
    told = advice.get(kind, f"{kind}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}")
    return f"cannot fetch {source} at {revision}: {told}"
