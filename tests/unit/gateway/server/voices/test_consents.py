"""Consents over HTTP: made in one gateway, kept by all, owned by tenants, named by voices."""

from typing import Any

import aiohttp
import pytest
from voxfleet_gateway.tokens import voice_token

KEY = "x"  # the internal key of `wire`'s gateways
CONSENTS, VOICES = "/v1/audio/voice_consents", "/v1/audio/voices"
YES = b"RIFF\0\0\0\0WAVE I agree"
Nodes = Any


async def consented(
    node: Any, tenant: str = "", recording: bytes = YES, name: str = "Ada", language: str = "en-US"
) -> tuple[int, Any]:
    form = aiohttp.FormData({"name": name, "language": language})
    form.add_field("recording", recording, filename="yes.wav")
    return await node.send("POST", CONSENTS, tenant, data=form)


async def test_a_consent_is_made_listed_got_renamed_and_deleted(nodes: Nodes) -> None:
    async with nodes() as (node,):
        status, made = await consented(node)
        assert (status, made["object"], made["name"], made["language"]) == (200, "audio.voice_consent", "Ada", "en-US")
        assert set(made) == {"id", "object", "created_at", "name", "language"}
        assert (await consented(node, name="again"))[1] == made | {"name": "again"}
        listed = (await node.send("GET", CONSENTS))[1]
        assert (listed["data"], listed["has_more"]) == ([made | {"name": "again"}], False)
        path = f"{CONSENTS}/{made['id']}"
        assert (await node.send("POST", path, json={"name": "Eve"}))[1] == made | {"name": "Eve"}
        assert (await node.send("POST", path, json={}))[0] == 400
        assert (await node.send("GET", path))[1]["name"] == "Eve"
        assert await node.send("DELETE", path) == (
            200, {"id": made["id"], "object": "audio.voice_consent", "deleted": True},
        )  # fmt: skip
        for method in ("GET", "DELETE"):
            status, error = await node.send(method, path)
            assert (status, error["error"]["code"]) == (404, "consent_not_found")
        assert node.gateway.speech.bodies.used_bytes == 0


async def test_a_consent_is_no_voice_and_a_voice_no_consent(nodes: Nodes) -> None:
    async with nodes() as (node,):
        consent, voice = (await consented(node))[1]["id"], (await node.make())[1]["id"]
        assert [each["id"] for each in (await node.send("GET", VOICES))[1]["data"][2:]] == [voice]
        assert [each["id"] for each in (await node.send("GET", CONSENTS))[1]["data"]] == [consent]
        for path in (f"{VOICES}/{consent}", f"{CONSENTS}/{voice}"):
            for method in ("GET", "DELETE"):
                assert (await node.send(method, path))[0] == 404
        for name in (consent, "no voice"):
            body = {"model": "m", "input": "hi", "voice": name}
            status, error = await node.send("POST", "/v1/audio/speech", json=body)
            assert (status, error["error"]["code"]) == (400, "voice_not_found")


async def test_a_voice_names_a_consent_of_its_tenant_which_is_kept_meanwhile(nodes: Nodes) -> None:
    async with nodes() as (node,):
        consent = (await consented(node, "acme"))[1]["id"]
        for tenant, name in (("other", consent), ("acme", "cons_1234"), ("acme", f"cons_{'0' * 32}")):
            status, error = await node.make(tenant=tenant, consent=name)
            assert (status, error["error"]["code"], error["error"]["param"]) == (400, "consent_not_found", "consent")
        voice = (await node.make(tenant="acme", consent=consent))[1]["id"]
        assert (await node.send("GET", f"{VOICES}/{voice}", "acme"))[1]["consent"] == consent
        status, error = await node.send("DELETE", f"{CONSENTS}/{consent}", "acme")
        assert (status, error["error"]["code"], voice in error["error"]["message"]) == (400, "consent_in_use", True)
        for method in ("GET", "DELETE"):
            assert (await node.send(method, f"{CONSENTS}/{consent}", "other"))[0] == 404
        assert (await node.send("GET", CONSENTS, "other"))[1]["data"] == []
        await node.send("DELETE", f"{VOICES}/{voice}", "acme")
        assert (await node.send("DELETE", f"{CONSENTS}/{consent}", "acme"))[0] == 200


async def test_a_consent_without_an_owner_may_be_named_by_all_and_is_deleted_by_none_of_them(nodes: Nodes) -> None:
    async with nodes() as (node,):
        consent = (await consented(node))[1]["id"]
        path, voice = f"{CONSENTS}/{consent}", (await node.make(tenant="acme", consent=consent))[1]["id"]
        assert (await node.send("DELETE", path))[1]["error"]["code"] == "consent_in_use"
        assert voice not in (await node.send("DELETE", path))[1]["error"]["message"]
        await node.send("DELETE", f"{VOICES}/{voice}", "acme")
        assert (await node.send("DELETE", path, "acme"))[0] == 404
        assert (await node.send("POST", path, "acme", json={"name": "mine"}))[0] == 404
        assert (await node.send("DELETE", path))[0] == 200


async def test_a_consent_is_at_every_gateway_and_so_is_its_deletion(nodes: Nodes, following: Any, until: Any) -> None:
    async with nodes(2) as (one, two):
        made = (await consented(one))[1]
        assert (await two.send("GET", f"{CONSENTS}/{made['id']}"))[1] == made  # asked for, before any comparison
        voice = await two.make(consent=made["id"])
        assert voice[0] == 200
        later = (await consented(one, recording=YES + b" too"))[1]
        async with following(one, two):
            one.peers.changed.set()
            two.peers.changed.set()
            await until(lambda: ("", later["id"]) in two.repository.index.headers)
            await one.send("DELETE", f"{CONSENTS}/{later['id']}")
            await until(lambda: two.repository.index.headers["", later["id"]].is_deleted)
        assert (await two.repository.read_own(("", made["id"]))).endswith(YES)


async def test_pods_cannot_fetch_consents(nodes: Nodes) -> None:
    async with nodes() as (node,):
        consent, voice = (await consented(node))[1]["id"], (await node.make())[1]["id"]
        headers = {"Authorization": f"Bearer {voice_token(KEY, '', 2**40)}"}
        for name, status in ((voice, 200), (consent, 401)):
            url = f"http://127.0.0.1:{node.internal_port}/internal/voices/{name}"
            async with node.session.get(url, headers=headers) as response:
                assert response.status == status, name


async def test_consents_are_limited_and_listed_by_pages(nodes: Nodes) -> None:
    async with nodes(max_voices=3) as (node,):
        ids = [(await consented(node, "t", YES + bytes([number])))[1]["id"] for number in range(3)]
        assert (await node.make(tenant="t"))[0] == 200  # counted apart
        status, error = await consented(node, "t", YES + b"4")
        assert (status, "3 consents are stored; the limit is 3" in error["error"]["message"]) == (507, True)
        first = (await node.send("GET", f"{CONSENTS}?limit=2", "t"))[1]
        rest = (await node.send("GET", f"{CONSENTS}?limit=2&after={first['last_id']}", "t"))[1]
        assert {each["id"] for each in first["data"] + rest["data"]} == set(ids)
        assert (first["has_more"], rest["has_more"], rest["first_id"]) == (True, False, rest["last_id"])


@pytest.mark.parametrize("limit", ["0", "101", "x", "-1", "\u0661", "9" * 400])
async def test_a_page_has_bounds(nodes: Nodes, limit: str) -> None:
    async with nodes() as (node,):
        status, error = await node.send("GET", f"{CONSENTS}?limit={limit}")
        assert (status, error["error"]["param"]) == (400, "limit")


async def test_without_a_folder_each_is_501(nodes: Nodes) -> None:
    async with nodes(voices_dir="") as (node,):
        for method, path in (
            ("GET", CONSENTS),
            ("POST", CONSENTS),
            ("GET", f"{CONSENTS}/x"),
            ("DELETE", f"{CONSENTS}/x"),
        ):
            assert (await node.send(method, path))[0] == 501, (method, path)
