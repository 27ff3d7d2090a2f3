"""Keys are rotated and revoked on a real API server while a real gateway process serves, and no request is lost.

`voxfleet keys` writes the Secret; the test takes the kubelet's part and writes it into the mounted folder.
"""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CLIENTS = 8
ROTATIONS = 3
PATIENCE_SECONDS = 240
SECRET = "voxfleet-keys"


@dataclass
class Mount:
    """The folder of a mounted Secret, as the kubelet keeps it: a link to a folder of this version."""

    stage: Any
    folder: Path
    version: str = ""

    def sync(self) -> None:
        path = f"/api/v1/namespaces/{self.stage.system}/secrets"
        found = [each for each in self.stage.api.get(path)["items"] if each["metadata"]["name"] == SECRET]
        data = found[0].get("data") or {} if found else {}
        version = found[0]["metadata"]["resourceVersion"] if found else "0"
        if version == self.version:
            return
        fresh = self.folder / f"..{version}"
        fresh.mkdir(parents=True)
        for name, value in data.items():
            (fresh / name).write_bytes(base64.b64decode(value))
        (self.folder / "..data_tmp").symlink_to(fresh.name)
        (self.folder / "..data_tmp").replace(self.folder / "..data")
        for name in data:
            with contextlib.suppress(FileExistsError):
                (self.folder / name).symlink_to(f"..data/{name}")
        for entry in self.folder.iterdir():
            if entry.is_symlink() and not entry.exists():
                entry.unlink()
        if self.version:
            shutil.rmtree(self.folder / f"..{self.version}")
        self.version = version

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.sync)
            await asyncio.sleep(0.2)


@dataclass
class Load:
    """Clients that send one request after the other with the key of the moment."""

    url: str
    key: str
    session: aiohttp.ClientSession
    statuses: dict[int, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    bodies: set[bytes] = field(default_factory=set)

    async def client(self) -> None:
        while True:
            try:
                status, body = await self.ask(self.key)
            except (aiohttp.ClientError, OSError) as error:
                self.failures.append(repr(error))
                continue
            self.statuses[status] = self.statuses.get(status, 0) + 1
            self.bodies.add(body)

    async def ask(self, key: str) -> tuple[int, bytes]:
        fields = {"model": "voxcpm-1.5", "input": "Hello.", "response_format": "wav"}
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.post(self.url, json=fields, headers=headers) as answer:
            return answer.status, await answer.read()

    async def until(self, key: str, status: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.ask(key))[0] != status:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_served(self, count: int) -> None:
        wanted = sum(self.statuses.values()) + count
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(self.statuses.values()) < wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.fixture
def keys(stage: Any) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Run `voxfleet keys` on the API server."""

    async def run(*arguments: str) -> dict[str, Any]:
        where = ("--kubeconfig", stage.kubeconfig, "--namespace", stage.system, "--secret", SECRET)
        command = [sys.executable, "-m", "voxfleet_cli", "keys", *where, *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        return found

    return run


@contextlib.asynccontextmanager
async def running(*work: Awaitable[None]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [each for each in results if not isinstance(each, asyncio.CancelledError)]
        assert not errors, errors


CREATE = ("create", "--tenant", "acme", "--model", "voxcpm-1.5", "-o", "json")


async def test_rotation_under_load_loses_no_request(
    stage: Any, new_pod: Any, start_gateway: Any, keys: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    stage.put_lease("eu-central", renew_time=datetime.now(UTC))
    stage.put_model([stage.region("eu-central", phase="Awake")])
    stage.put_pods("eu-central", await new_pod(), ready=True)
    mount = Mount(stage, tmp_path / "keys")
    mount.folder.mkdir()
    tenants = tmp_path / "tenants.json"
    tenants.write_text('[{"name": "acme", "concurrentRequests": 1000, "requestsPerSecond": 100000}]')
    gateway = await start_gateway(VOXFLEET_KEYS_FOLDER=str(mount.folder), VOXFLEET_TENANTS_FILE=str(tenants))
    load = Load(gateway.url("/v1/audio/speech"), "", session)
    assert (await load.ask("any"))[0] == 401, "configured and without a key, the gateway is not open"
    async with running(mount.run()):
        current = await keys(*CREATE)
        load.key = current["key"]
        await load.until(load.key, 200)
        async with running(*(load.client() for _ in range(CLIENTS))):
            for _ in range(ROTATIONS):
                await load.until_served(20)
                old, current = current, await keys("rotate", current["id"], "--overlap", "10m", "-o", "json")
                await load.until(current["key"], 200)
                load.key = current["key"]
                await load.until_served(20 + CLIENTS)  # each client has finished its last request with the old key
                await keys("revoke", old["id"])
                await load.until(old["key"], 401)
            await load.until_served(20)
    assert load.failures == []
    assert {*load.statuses} == {200}, load.statuses
    assert load.bodies == {b"RIFFaudioend"}
    assert gateway.process.poll() is None
    # Every request that was answered is in the usage log, once, with the key that it had.
    lines = [line for line in gateway.lines if line.get("event") == "usage"]
    served = [line for line in lines if line["status"] == 200]
    assert len({line["request_id"] for line in lines}) == len(lines)
    assert len({line["key_id"] for line in served}) == ROTATIONS + 1
    assert len(served) >= sum(load.statuses.values())
    assert "vf-" not in json.dumps(gateway.lines)


async def test_a_broken_entry_refuses_its_own_key_and_is_logged(
    stage: Any, new_pod: Any, start_gateway: Any, keys: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    stage.put_lease("eu-central", renew_time=datetime.now(UTC))
    stage.put_model([stage.region("eu-central", phase="Awake")])
    stage.put_pods("eu-central", await new_pod(), ready=True)
    mount = Mount(stage, tmp_path / "keys")
    good, bad = await keys(*CREATE), await keys(*CREATE)
    path = f"/api/v1/namespaces/{stage.system}/secrets/{SECRET}"
    secret = stage.api.get(path)
    secret["data"][f"{bad['id']}.json"] = base64.b64encode(f'{{"hash": "{bad["key"]}"}}'.encode()).decode()
    stage.api.request("PUT", path, secret)
    mount.sync()
    gateway = await start_gateway(VOXFLEET_KEYS_FOLDER=str(mount.folder))
    load = Load(gateway.url("/v1/audio/speech"), "", session)
    assert [(await load.ask(each["key"]))[0] for each in (good, bad)] == [200, 401]
    (line,) = [line for line in gateway.lines if line.get("event") == "api_key_ignored"]
    assert line["key_id"] == bad["id"]
    assert bad["key"] not in json.dumps(gateway.lines)
