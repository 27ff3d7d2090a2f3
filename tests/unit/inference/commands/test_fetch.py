from __future__ import annotations

from pathlib import Path

import pytest
from voxfleet_inference.commands.fetch import FetchError, fetch_checkpoint


@pytest.mark.parametrize(
    "source", ["openbmb/VoxCPM1.5", "hf://only", "s3://a/b", "hf://a/b/c", "hf:///a/b", "hf://../b"]
)
def test_other_addresses_are_rejected(source: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="not of the form hf://owner/name"):
        fetch_checkpoint(source, "main", tmp_path)
