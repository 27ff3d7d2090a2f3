"""An S3-compatible bucket as a store of weights, by AWS's own client.

Knows the digests that S3 keeps of an object, and what to advise for each of its errors. Credentials, endpoint and
region come from the environment, as in every AWS SDK: AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, a pod's identity; without
any, requests are not signed, which public buckets accept. Does not know where the bytes go.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from voxfleet_inference.fetching.errors import FetchError, LastingError, PassingError
from voxfleet_inference.fetching.store import Digest, Listing, RemoteFile, is_checkpoint_file

_CHUNK_BYTES: Final = 2**20
_MD5: Final = re.compile(r"^[0-9a-f]{32}$")
_MD5_OF_PARTS: Final = re.compile(r"^[0-9a-f]{32}-[0-9]+$")
_FIRST_SERVER_ERROR: Final = 500
_PASSING_CODES: Final = frozenset(
    {"SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "RequestTimeTooSkewed"}
)
_WHERE: Final = "in a cluster the Secret of model.secretRef, with keys accessKeyId and secretAccessKey"
_ADVICE: Final = {
    "NoSuchBucket": "there is no such bucket: check model.source and the endpoint",
    "InvalidAccessKeyId": f"the store does not know the access key: check AWS_ACCESS_KEY_ID ({_WHERE})",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key: check AWS_SECRET_ACCESS_KEY"
    f" ({_WHERE})",
    "ExpiredToken": f"the credentials have expired: renew them ({_WHERE})",
    "InvalidToken": f"the session token is not valid: check AWS_SESSION_TOKEN ({_WHERE})",
    "AccessDenied": "access denied: the credentials need s3:ListBucket on the bucket and s3:GetObject on the prefix"
    f" ({_WHERE})",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION (in a cluster key region of the Secret)",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION (key region of the Secret)",
    "PreconditionFailed": "the object was replaced during the download: try again",
}
# HEAD has no body, so its errors have a status alone.
_CODE_OF_STATUS: Final = {"403": "AccessDenied", "404": "NoSuchBucket", "412": "PreconditionFailed"}


class S3Store:
    """The objects directly below one prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        session = botocore.session.get_session()
        signing = {} if session.get_credentials() else {"signature_version": UNSIGNED}
        # Standard retries: three attempts with a back-off; download.py resumes after them.
        config = Config(retries={"mode": "standard"}, read_timeout=60, connect_timeout=10, **signing)
        # Without a region the client cannot be made; S3-compatible stores mostly ignore it.
        region = session.get_config_variable("region") or "us-east-1"
        self._client: Any = session.create_client("s3", region_name=region, config=config)

    def list_files(self) -> Listing:
        """Return the objects below the prefix, each with the best digest that S3 keeps of it."""
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
            )
            found = [item for page in pages for item in page.get("Contents", ())]
            names = [item["Key"].removeprefix(self._prefix) for item in found]
            return Listing(tuple(self._remote_file(name) for name in names if is_checkpoint_file(name)))

    @contextmanager
    def open(self, _listing: Listing, file: RemoteFile, offset: int) -> Iterator[Iterator[bytes]]:
        """Return the bytes of one object, if it is still the listed one."""
        ranged = {"Range": f"bytes={offset}-"} if offset else {}
        with self._errors():
            response = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + file.name, IfMatch=f'"{file.version}"', **ranged
            )
            try:
                yield response["Body"].iter_chunks(_CHUNK_BYTES)
            finally:
                response["Body"].close()

    def _remote_file(self, name: str) -> RemoteFile:
        key = {"Bucket": self._bucket, "Key": self._prefix + name}
        head = self._client.head_object(**key, ChecksumMode="ENABLED")
        etag = head["ETag"].strip('"')
        digest = _listed_checksum(head)
        if digest is None and not head.get("ServerSideEncryption", "").startswith("aws:kms"):  # no MD5 then
            digest = self._digest_of_etag(key, etag)
        return RemoteFile(name, head["ContentLength"], digest, etag)

    def _digest_of_etag(self, key: dict[str, str], etag: str) -> Digest | None:
        if _MD5.match(etag):
            return Digest("md5", etag)
        if _MD5_OF_PARTS.match(etag):
            return Digest("md5-of-parts", etag, self._client.head_object(**key, PartNumber=1)["ContentLength"])
        return None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise _explained(error) from error
        except (HTTPClientError, HTTPError, BotoCoreError) as error:
            raise PassingError(
                f"the store cannot be reached: check the network, or AWS_ENDPOINT_URL for another endpoint ({error})"
            ) from error


def _explained(error: ClientError) -> FetchError:
    answer = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = _CODE_OF_STATUS.get(answer.get("Code", ""), answer.get("Code", ""))
    message = _ADVICE.get(code) or f"{code}: {answer.get('Message', 'no message')}"
    is_passing = status >= _FIRST_SERVER_ERROR or code in _PASSING_CODES or code == "PreconditionFailed"
    return (PassingError if is_passing else LastingError)(message)


def _listed_checksum(head: dict[str, Any]) -> Digest | None:
    """Return a checksum over the whole object; one over parts needs to know them all."""
    if head.get("ChecksumType") == "COMPOSITE":
        return None
    for algorithm in ("sha256", "crc32"):
        written = head.get(f"Checksum{algorithm.upper()}", "")
        if written and "-" not in written:
            return Digest(algorithm, base64.b64decode(written).hex())
    return None
