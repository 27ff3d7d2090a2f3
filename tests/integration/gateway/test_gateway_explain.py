"""`voxfleet route explain` asks a running gateway, which does nothing for it; the log of a request replays."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

CLIENT = ("--client", "203.0.113.9", "--location", "50.1,8.7", "--country", "DE")


async def voxfleet(*arguments: str, key: str = "integration-key") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voxfleet_cli",
        *arguments,
        env=os.environ | {"VOXFLEET_INTERNAL_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, output.decode(), errors.decode()


async def test_a_sleeping_region_is_explained_and_stays_asleep(
    stage: Any, new_pod: Any, start_gateway: Any, speak: Any, tmp_path: Path
) -> None:
    stage.put_lease("eu-central")
    stage.put_lease("us-east")
    stage.put_model([stage.region("eu-central"), stage.region("us-east")])
    gateway = await start_gateway()
    ask = ("route", "explain", *CLIENT, "--gateway", gateway.url("", "internal"), "--model")

    code, output, errors = await voxfleet(*ask, "voxcpm-1.5", "-o", "json")
    assert (code, errors) == (0, "")
    answer = json.loads(output)
    assert (answer["action"], answer["region"], answer["route"]) == ("hold", "eu-central", "hold-wake")
    assert "renewTime" not in stage.lease("eu-central")["spec"], "explaining wakes nothing"

    stage.put_pods("us-east", await new_pod(), ready=True)
    assert (await speak(gateway)).status == 200
    code, output, _ = await voxfleet(*ask, f"{stage.apps}/narrator")
    assert code == 0
    assert "outcome  served by us-east (spill-wake): eu-central is nearer, but " in output
    assert "203.0.113.9" not in str(gateway.lines), "the client's address is not logged"

    assert (await voxfleet(*ask, "absent"))[2].startswith(
        f"voxfleet: {gateway.url('', 'internal')}: The model 'absent'"
    )
    assert (await voxfleet(*ask, "absent", key="wrong"))[2].endswith("A valid bearer token is required.\n")

    await gateway.until(gateway.records, "record")
    log = tmp_path / "gateway.log"
    log.write_text("".join(json.dumps(line) + "\n" for line in gateway.lines))
    code, output, errors = await voxfleet("route", "replay", str(log))
    assert (code, errors) == (0, "1 decisions, 0 different\n")
    assert output.split()[1:] == ["same", "spill-wake", "us-east"]
