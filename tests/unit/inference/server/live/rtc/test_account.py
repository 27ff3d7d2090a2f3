"""Text of a data channel waits for the gateway that passed the offer on, and one's end is the other's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from voxfleet_inference.server.live.rtc import account
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATH = "/v1/audio/speech/rtc/account"
TENANT = {"Voxfleet-Tenant": "acme"}
REFUSED = {"error": {"message": "enough", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}


@asynccontextmanager
async def account_of(server: Any) -> AsyncIterator[tuple[ClientConnection, dict[str, str]]]:
    """Yield an account's connection, and the headers of the offer that names it."""
    url = server.url.replace("http", "ws") + PATH
    async with connect(url, additional_headers=TENANT) as socket:
        message = json.loads(await socket.recv())
        assert message["type"] == "account"
        yield socket, {**TENANT, "Voxfleet-Rtc-Account": message["id"]}


async def next_of(socket: ClientConnection) -> Any:
    return json.loads(await socket.recv())


@pytest.fixture
async def pod(start_server: Any, make_model: Any, wait_until: Any) -> AsyncIterator[Any]:
    async with start_server(make_model(), trust_gateway_headers=True) as server:
        await wait_until(lambda: server.lifecycle.is_ready)
        yield server


async def test_text_is_spoken_when_it_is_admitted_and_refused_text_is_not(pod: Any, connect_rtc: Any) -> None:
    async with account_of(pod) as (gateway, headers), connect_rtc(pod.url) as client:
        assert (await client.offer({"seed": 1}, headers)).status_code == 201
        await client.receive("session.started")
        client.send("text.append", text="Too much. ")
        client.send("text.append", text="Enough.")
        client.send("text.flush")
        assert await next_of(gateway) == {"type": "text", "text": "Too much. "}
        await gateway.send(json.dumps({"type": "refused", **REFUSED, "retry_after_seconds": 7}))
        error = await client.receive("error")
        assert error == {"type": "error", **REFUSED, "retry_after_seconds": 7}
        assert await next_of(gateway) == {"type": "text", "text": "Enough."}
        await gateway.send('{"type": "admitted"}')
        assert (await client.receive("sentence.started"))["text"] == "Enough."
        client.send("session.end")
        await client.receive("session.done")
        done = await next_of(gateway)
        assert (done["type"], done["spoken_seconds"]) == ("done", pytest.approx(client.loud_seconds, abs=0.2))
        with pytest.raises(ConnectionClosed):
            await gateway.recv()


async def test_text_of_the_offer_is_admitted_already(pod: Any, connect_rtc: Any) -> None:
    async with account_of(pod) as (gateway, headers), connect_rtc(pod.url) as client:
        await client.offer({"input": "The first one.", "seed": 1}, headers)
        client_done = await client.receive("sentence.started")
        assert client_done["text"] == "The first one."
        await client.connection.close()
        assert (await next_of(gateway))["type"] == "done", "nothing was asked"


@pytest.mark.parametrize("said", [{"type": "end", **REFUSED}, None], ids=["ended", "lost"])
async def test_a_gateway_that_ends_the_account_or_is_gone_ends_the_session(
    pod: Any, connect_rtc: Any, wait_until: Any, said: Any
) -> None:
    async with account_of(pod) as (gateway, headers), connect_rtc(pod.url) as client:
        await client.offer({"input": "x" * 200 + ".", "seed": 1}, headers)
        await client.receive("sentence.started")
        client.send("text.append", text="It waits for an answer.")
        await next_of(gateway)
        if said is None:
            gateway.transport.abort()
        else:
            await gateway.send(json.dumps(said))
        codes = {"account_lost"} if said is None else {"rate_limit_exceeded"}
        await client.receive("error")
        assert {each["error"]["code"] for each in client.messages if each["type"] == "error"} == codes
        if said is not None:
            assert (await next_of(gateway))["spoken_seconds"] > 0, "also of a session that was ended"
        await wait_until(lambda: pod.load.open_requests == 0)


async def test_an_offer_cannot_name_an_account_of_another_tenant_or_one_that_is_gone(
    pod: Any, connect_rtc: Any
) -> None:
    async with account_of(pod) as (_, headers):
        for given in ({**headers, "Voxfleet-Tenant": "other"}, headers):  # the first try has used it up
            async with connect_rtc(pod.url) as client:
                response = await client.offer({"seed": 1}, given)
            assert (response.status_code, response.json()["error"]["code"]) == (503, "account_lost")
            assert response.headers["retry-after"]
    assert pod.load.open_requests == 0


async def test_an_account_that_no_offer_names_is_closed(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_UNUSED_SECONDS", 0.2)
    async with account_of(server) as (gateway, _):
        with pytest.raises(ConnectionClosed):
            await gateway.recv()


async def test_an_account_that_an_offer_names_is_kept(
    server: Any, connect_rtc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "_UNUSED_SECONDS", 1.0)
    async with account_of(server) as (gateway, headers), connect_rtc(server.url) as client:
        assert (await client.offer({"seed": 1}, headers)).status_code == 201
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gateway.recv(), 1.5)
        client.send("text.append", text="Still here.")
        assert (await next_of(gateway))["text"] == "Still here."
