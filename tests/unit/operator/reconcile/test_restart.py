"""An operator that starts: it applies what changed while none ran, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from voxfleet_operator.kinds import resource_path
from voxfleet_operator.resources import Key

Loop = Any  # conftest.Loop: pytest loads test folders without packages, so the class cannot be imported by name

RESOURCE = resource_path(Key("default", "narrator"))


async def steady(loop: Loop) -> None:
    loop.create("eu", "us")
    await loop.reconcile()
    loop.now += 60
    await loop.reconcile()
    assert await loop.writes_of() == []


async def writes_after_restart(loop: Loop, **installation: Any) -> list[str]:
    loop.restart(replace(loop.reconciler.installation, **installation))
    writes: list[str] = await loop.writes_of(2)
    return writes


async def test_nothing_is_written_where_nothing_changed(loop: Loop) -> None:
    await steady(loop)
    assert loop.status()["applied"].count(",") >= 5
    assert await writes_after_restart(loop) == []
    assert not [path for method, path in loop.api.requests if "services" in path], "nor is an object read"


@pytest.mark.parametrize("kind", ["Deployment", "Service", "ConfigMap", "Lease"])
async def test_an_object_that_changed_meanwhile_is_applied_and_no_other(loop: Loop, kind: str) -> None:
    await steady(loop)
    before = dict(loop.object(kind)["metadata"]["labels"])
    name = next(key for key in before if key.startswith("app.kubernetes.io/"))
    loop.api.put(loop.ref(kind).path, lambda found: found["metadata"]["labels"].update({name: "drifted"}))
    assert await writes_after_restart(loop) == [loop.ref(kind).path]
    assert loop.object(kind)["metadata"]["labels"] == before


async def test_an_object_that_is_gone_is_made_again(loop: Loop) -> None:
    await steady(loop)
    path = loop.ref("Service").path
    loop.api.remove(path)
    assert path in await writes_after_restart(loop)
    assert path in loop.api.objects


async def test_another_manifest_is_applied(loop: Loop) -> None:
    await steady(loop)
    pod = replace(loop.reconciler.installation.pod, image="another")
    writes = await writes_after_restart(loop, pod=pod)
    assert {loop.ref("Deployment", region).path for region in ("eu", "us")} <= set(writes)
    assert loop.ref("Service").path not in writes


async def test_a_status_that_was_cleared_makes_everything_applied_once(loop: Loop) -> None:
    await steady(loop)
    loop.api.put(RESOURCE, lambda found: found.pop("status"))
    writes = await writes_after_restart(loop)
    assert loop.ref("Deployment").path in writes
    assert loop.ref("ConfigMap").path in writes
    assert len(writes) == len(set(writes))
    assert await writes_after_restart(loop) == []
