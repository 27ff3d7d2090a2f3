from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_inference.commands.fetch import fetch_checkpoint
from voxfleet_inference.fetching.errors import LastingError


@pytest.mark.parametrize(
    "source", ["openbmb/VoxCPM1.5", "hf://only", "s3://A/b", "s3:///b", "s3://", "hf://a/b/c", "hf:///a/b", "hf://../b"]
)
def test_other_addresses_are_rejected(source: str, tmp_path: Path) -> None:
    with pytest.raises(LastingError, match="not of the form hf://owner/name or s3://bucket/prefix"):
        fetch_checkpoint(source, "main", tmp_path)
