"""A gateway that requires keys, with tenants and their limits, and its usage log."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from voxfleet_gateway.decisions.accounts.api_keys import hash_of
from voxfleet_gateway.gateway import Gateway

KEYS: dict[str, dict[str, Any]] = {
    "all": {"models": ["*"]},
    "one": {"models": ["d/n"], "tenant": "other"},
    "none": {"models": ["x/y"]},
    "late": {"models": ["*"], "expires_at": "2020-01-01T00:00:00Z"},
    "op": {"models": ["*"], "tenant": "ops", "may_operate": True},
    "up": {"models": ["*"], "may_upload": True},
    "waits": {"models": ["*"], "hold_seconds": 60},
}


@dataclass
class Keyed:
    """A gateway with the keys above."""

    port: int
    gateway: Gateway
    lines: list[dict[str, Any]]

    def client(self, key: str = "all", retries: int = 0) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{self.port}/v1", api_key=key, max_retries=retries)

    async def speak(self, key: str = "all", text: str = "hi", **fields: Any) -> bytes:
        async with self.client(key) as client:
            spoken = await client.audio.speech.create(model="m", voice="v", input=text, **fields)
        return spoken.content


@pytest.fixture
def keyed(wire: Any, tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_keyed(
        *pods: Any, limits: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **options: Any
    ) -> AsyncIterator[Keyed]:
        for name, fields in KEYS.items():
            row = {"hash": hash_of(name), "tenant": "acme", "created_at": "2026-11-30T00:00:00Z"} | fields
            (tmp_path / f"k-{name}.json").write_text(json.dumps(row))
        tenants = tmp_path.parent / f"{tmp_path.name}-tenants.json"
        tenants.write_text(json.dumps([{"name": "acme", "priority": 5} | (limits or {})]))
        given = {"keys_folder": str(tmp_path), "tenants_file": str(tenants), "replicas": 1} | (settings or {})
        # Reports go on: a pod that is silent for 5 s gets nothing, and a test may be slow.
        async with wire.gateway(*pods, settings=given, **{"keep_reporting": True} | options) as (port, gateway):
            lines: list[dict[str, Any]] = []
            gateway.speech.accounts.usage.write_line = lambda line: lines.append(json.loads(line))
            yield Keyed(port, gateway, lines)

    return open_keyed
