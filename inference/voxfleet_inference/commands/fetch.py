"""Downloads a checkpoint from the Hugging Face hub into a folder and verifies it.

Knows: hf:// addresses, the files that make a checkpoint, their checksums on the hub, and what to advise when a
download fails.
Does not know: what is inside the files.
"""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_ADDRESS: Final = re.compile(r"^hf://(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)$", re.ASCII)
_CHECKPOINT_FILES: Final = ("*.json", "*.safetensors", "*.pth", "pytorch_model.bin", "tokenizer.model")
_SERVER_ERROR: Final = 500


class FetchError(Exception):
    """The download failed; the message says what to do."""


def fetch_checkpoint(source: str, revision: str, target: Path) -> int:
    """Download the files that `target` lacks; return the bytes that it holds then.

    Raises:
        FetchError: the address is wrong, the hub refused or could not be reached, or a file is not the listed one.
    """
    repository = _repository(source)
    from huggingface_hub import HfApi  # noqa: PLC0415 - takes a second, which --help does not need

    try:
        mismatches = _download(HfApi(), repository, revision, target)
    except Exception as error:  # the client lets through what its HTTP library and its downloader raise
        raise FetchError(_error_message(error, source, revision)) from error
    if mismatches:
        raise FetchError(f"cannot fetch {source} at {revision}: {'; '.join(mismatches)}: try again")
    files = [each for each in target.iterdir() if each.is_file()] if target.is_dir() else []
    if not any(each.name == "config.json" for each in files):
        raise FetchError(f"{source} at {revision} has no config.json: it is no checkpoint that can be served")
    return sum(each.stat().st_size for each in files)


def _download(hub: HfApi, repository: str, revision: str, target: Path) -> list[str]:
    """Download the files; return a message for each one with a wrong checksum.

    The client resumes a broken download and skips whole files. While the hub cannot be reached, it accepts the commit
    that it downloaded before, as long as no file of that commit is missing.
    """
    commit = hub.resolve_revision(repository, revision=revision)
    hub.snapshot_download(repository, revision=commit, local_dir=target, allow_patterns=list(_CHECKPOINT_FILES))
    # Partial files of a run that was killed: the client never resumes them, and they are as large as the weights.
    for partial in target.glob(".cache/huggingface/download/*.incomplete"):
        partial.unlink(missing_ok=True)
    return _rename_mismatches(hub, repository, commit.resolved, target)


def _rename_mismatches(hub: HfApi, repository: str, commit: str, target: Path) -> list[str]:
    """Rename files with a wrong checksum, so that no server loads them; the client itself compares sizes alone."""
    from httpx2 import TransportError  # noqa: PLC0415 - the client's HTTP library, whose errors it lets through
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        mismatches = hub.verify_repo_checksums(repository, revision=commit, local_dir=target).mismatches
    except TransportError:
        return []  # the hub cannot be reached: nothing was downloaded in this run
    except HfHubHTTPError as error:
        if error.response.status_code < _SERVER_ERROR:
            raise
        return []
    found = [each for each in mismatches if any(fnmatch(each["path"], pattern) for pattern in _CHECKPOINT_FILES)]
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


def _error_message(error: Exception, source: str, revision: str) -> str:
    """Return one line: the hub's own messages are pages long."""
    kind = type(error).__name__
    advice = {
        "RepositoryNotFoundError": "no such repository, or it is private: check the name, or set HF_TOKEN",
        "GatedRepoError": "the repository is gated: request access on its page and set HF_TOKEN",
        "RevisionNotFoundError": f"there is no revision {revision!r}",
        "RevisionResolutionError": "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror",
        "LocalEntryNotFoundError": "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror",
    }
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    return f"cannot fetch {source} at {revision}: {advice.get(kind, f'{kind}: {first_line}')}"
