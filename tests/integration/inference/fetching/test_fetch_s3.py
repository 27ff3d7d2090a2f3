"""`fetch` of s3:// with AWS' client, against an S3-compatible server (moto) behind a proxy that cuts connections."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from typing import Any

import httpx

MIB = 2**20
BIG = "audiovae.safetensors"
LASTING = 3


def failure_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == LASTING, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def succeeds(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_downloads_the_checkpoint_once(fetching_s3: Any, tiny_files: dict[str, bytes]) -> None:
    assert "bytes of s3://voices/models/voice" in succeeds(fetching_s3.run())
    assert fetching_s3.there() == tiny_files
    marker = json.loads((fetching_s3.target / ".voxfleet-weights.json").read_text())
    assert all(each["digest"] for each in marker["files"].values())
    assert "nothing was downloaded" in succeeds(fetching_s3.run(AWS_ENDPOINT_URL="http://127.0.0.1:9"))


def test_cut_connections_are_resumed(bucket: Any, fetching_s3: Any) -> None:
    big = os.urandom(24 * MIB)
    bucket.put(BIG, big)
    bucket.cuts.extend([8 * MIB] * 3)
    succeeds(fetching_s3.run())
    assert fetching_s3.there()[BIG] == big
    assert not bucket.cuts, "the proxy has cut connections"


def test_an_object_of_several_parts_and_one_with_a_sha256_are_verified(bucket: Any, fetching_s3: Any) -> None:
    parts = [os.urandom(5 * MIB), os.urandom(MIB)]
    key = {"Bucket": "voices", "Key": f"models/voice/{BIG}"}
    upload = bucket.client.create_multipart_upload(**key)["UploadId"]
    numbered = [
        {
            "PartNumber": number,
            "ETag": bucket.client.upload_part(**key, UploadId=upload, PartNumber=number, Body=part)["ETag"],
        }
        for number, part in enumerate(parts, 1)
    ]
    bucket.client.complete_multipart_upload(**key, UploadId=upload, MultipartUpload={"Parts": numbered})
    body = b"{}"
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    bucket.put("extra.json", body, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum)
    succeeds(fetching_s3.run())
    assert fetching_s3.there()[BIG] == b"".join(parts)
    files = json.loads((fetching_s3.target / ".voxfleet-weights.json").read_text())["files"]
    assert files["extra.json"]["digest"]["algorithm"] == "sha256"


def test_a_wrong_bucket_or_prefix_names_the_field(fetching_s3: Any) -> None:
    assert "no such bucket: check model.source" in failure_line(fetching_s3.run("s3://other-bucket/models"))
    assert "there is no config.json" in failure_line(fetching_s3.run("s3://voices/wrong"))


def test_a_wrong_key_names_the_secret(bucket: Any, fetching_s3: Any) -> None:
    # From now on this server checks keys, as AWS does.
    httpx.post(f"{bucket.url}/moto-api/reset-auth", content=b"0").raise_for_status()
    said = failure_line(fetching_s3.run())
    assert "check AWS_ACCESS_KEY_ID" in said
    assert "model.secretRef" in said
