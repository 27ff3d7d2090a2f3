"""The Hugging Face hub as a store of weights, by its own client.

Knows how the hub identifies files (large ones are LFS objects with a SHA-256, small ones git blobs), and what to advise
for each of its errors. Does not know where the bytes go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from httpx2 import TransportError
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session, hf_raise_for_status

from voxfleet_inference.fetching.errors import FetchError, LastingError, PassingError
from voxfleet_inference.fetching.store import Digest, Listing, RemoteFile, is_checkpoint_file

_CHUNK_BYTES: Final = 2**20
_READ_SECONDS: Final = 60.0
_FIRST_SERVER_ERROR: Final = 500
_TOO_MANY_REQUESTS: Final = 429
_PASSING_STATUSES: Final = frozenset({408, _TOO_MANY_REQUESTS})
# By the name of the client's exception: GatedRepoError is a RepositoryNotFoundError.
_ADVICE: Final = {
    "RepositoryNotFoundError": "no such repository, or it is private: check the name, or set a token"
    " (HF_TOKEN; in a cluster model.secretRef)",
    "GatedRepoError": "the repository is gated: request access on its page and set a token of that account"
    " (HF_TOKEN; in a cluster model.secretRef)",
}
# The client's User-Agent would name PyTorch's version and the tool that it was started by (docs/telemetry.md).
constants.HF_HUB_DISABLE_TELEMETRY = True
_UNREACHABLE: Final = "the hub cannot be reached: check the network, or HF_ENDPOINT for a mirror"


class HubStore:
    """One repository at one revision."""

    def __init__(self, repository: str, revision: str) -> None:
        self._repository = repository
        self._revision = revision
        self._api = HfApi()

    def list_files(self) -> Listing:
        """Return the files at the commit that the revision stands for now."""
        with self._errors():
            commit = self._api.repo_info(self._repository, revision=self._revision).sha or self._revision
            tree = self._api.list_repo_tree(self._repository, revision=commit)
            files = [each for each in tree if isinstance(each, RepoFile) and is_checkpoint_file(each.path)]
        return Listing(tuple(_remote_file(each) for each in files), commit)

    @contextmanager
    def open(self, listing: Listing, file: RemoteFile, offset: int) -> Iterator[Iterator[bytes]]:
        """Return the bytes of one file; the client leaves out the token where the hub redirects to another host."""
        url = hf_hub_url(self._repository, file.name, revision=listing.resolved)
        # Compressed on the way, a range would be one of other bytes.
        headers = build_hf_headers() | {"Accept-Encoding": "identity"}
        headers |= {"Range": f"bytes={offset}-"} if offset else {}
        client = get_session()
        with self._errors(), client.stream("GET", url, headers=headers, timeout=_READ_SECONDS) as response:
            hf_raise_for_status(response)
            yield response.iter_bytes(_CHUNK_BYTES)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            raise self._explained(error) from error
        except TransportError as error:
            raise PassingError(f"{_UNREACHABLE} ({_first_line(error)})") from error
        except (OSError, FetchError):
            raise
        except Exception as error:  # the client raises errors of a dozen more kinds
            raise PassingError(f"{type(error).__name__}: {_first_line(error)}") from error

    def _explained(self, error: HfHubHTTPError) -> FetchError:
        kind, status = type(error).__name__, error.response.status_code
        if kind == "RevisionNotFoundError":
            return LastingError(
                f"there is no revision {self._revision!r}: set model.revision to a branch, tag or commit"
            )
        if kind in _ADVICE:
            return LastingError(_ADVICE[kind])
        if status in {401, 403}:
            return LastingError(f"the hub refused the token ({status}): check HF_TOKEN; in a cluster model.secretRef")
        if status >= _FIRST_SERVER_ERROR:
            return PassingError(f"{_UNREACHABLE} (status {status})")
        family = PassingError if status in _PASSING_STATUSES else LastingError
        return family(f"{kind}: {_first_line(error)}")


def _remote_file(file: RepoFile) -> RemoteFile:
    if file.lfs is not None:
        return RemoteFile(file.path, file.size, Digest("sha256", file.lfs.sha256))
    return RemoteFile(file.path, file.size, Digest("git-sha1", file.blob_id))


def _first_line(error: Exception) -> str:
    """Return one line: the hub's own messages are pages long."""
    return (str(error).strip() or "no message").splitlines()[0]
