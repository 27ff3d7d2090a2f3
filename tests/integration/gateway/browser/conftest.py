"""An API key whose tenant may wake regions and put them to sleep."""

import json
from pathlib import Path

import pytest
from voxfleet_gateway.decisions.accounts.api_keys import hash_of

KEY = "key of an operator"


@pytest.fixture
def operator_key() -> str:
    return KEY


@pytest.fixture
def keys_folder(tmp_path: Path) -> Path:
    row = {"hash": hash_of(KEY), "tenant": "ops", "created_at": "2026-11-30T00:00:00Z", "models": ["*"]}
    (tmp_path / "key.json").write_text(json.dumps(row | {"may_operate": True}))
    return tmp_path
