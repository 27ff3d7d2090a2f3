"""Brings a checkpoint from the Hugging Face hub into a folder.

Knows: hf:// addresses, which files of a repository a checkpoint is made of, and how to say what went wrong.
Does not know: what is inside the files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_ADDRESS: Final = re.compile(r"^hf://(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)$", re.ASCII)
_WANTED: Final = ("*.json", "*.safetensors", "*.pth", "pytorch_model.bin", "tokenizer.model")


class FetchError(Exception):
    """The checkpoint could not be brought; the message says what to do."""


def fetch_checkpoint(source: str, revision: str, target: Path) -> int:
    """Download, or go on downloading; returns the bytes that are there.

    Raises:
        FetchError: the address is wrong, or the hub said no, or could not be reached.
    """
    repository = _repository(source)
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - a second that --help need not wait for
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    try:
        snapshot_download(repository, revision=revision, local_dir=target, allow_patterns=list(_WANTED))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise FetchError(_explained(error, source, revision)) from error
    files = [each for each in target.iterdir() if each.is_file()] if target.is_dir() else []
    if not any(each.name == "config.json" for each in files):
        raise FetchError(f"{source} at {revision} has no config.json: it is no checkpoint that can be served")
    return sum(each.stat().st_size for each in files)


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
        "LocalEntryNotFoundError": "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror",
    }
    told = advice.get(kind, f"{kind}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}")
    return f"cannot fetch {source} at {revision}: {told}"
