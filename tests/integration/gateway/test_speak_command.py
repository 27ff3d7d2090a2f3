"""`voxfleet speak` and `voxfleet voices` as processes, against a real gateway whose region sleeps."""

import asyncio
import contextlib
import sys
import wave
from pathlib import Path
from typing import Any


async def run(*words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "voxfleet_cli", *words]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_user_speaks_to_a_region_that_sleeps(
    stage: Any, new_pod: Any, start_gateway: Any, tmp_path: Path
) -> None:
    stage.put_lease("eu-central")
    stage.put_model([stage.region("eu-central", predicted_wake_seconds=20.0)])
    gateway = await start_gateway(VOXFLEET_VOICES_DIR=str(tmp_path / "voices"))
    url, target = gateway.url(""), tmp_path / "out.wav"
    asked = asyncio.create_task(run("speak", "Hello.", "-o", str(target), "--gateway", url))
    try:
        await gateway.until(lambda: stage.lease("eu-central")["spec"].get("renewTime"), "renewal")
        pod = await new_pod()
        header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0data\xff\xff\xff\xff"
        pod.chunks = [header, b"\1\0" * 100, b"\2\0" * 100]
        stage.put_pods("eu-central", pod, ready=True)
        code, _, shown = await asked
    finally:
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    assert code == 0, shown
    assert "region eu-central is waking, about 20 s" in shown
    assert "served by eu-central (hold-wake)" in shown
    with wave.open(str(target)) as read:
        assert read.getnframes() == 200
    assert pod.served[0]["model"] == "voxcpm-1.5"
    voices = ("voices", "--gateway", url)
    recording = tmp_path / "ada.wav"
    recording.write_bytes(target.read_bytes())
    given = ("--recording", str(recording), "--transcript", "What I say.", "--consent", "Agreed on 3 May")
    pod.state = "draining"  # a pod that is awake would be asked to check it
    code, made, shown = await run(*voices, "add", "Ada", *given)
    assert code == 0, shown
    voice = next(word for word in made.split() if word.startswith("voice_"))
    assert "Agreed on 3 May" in (await run(*voices, "show", voice))[1]
    assert (await run(*voices, "delete", voice))[:2] == (0, f"voice {voice} is deleted\n")
    code, _, shown = await run(*voices, "show", voice)
    assert (code, "voice" in shown) == (1, True)
