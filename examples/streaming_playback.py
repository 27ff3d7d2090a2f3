# ruff: noqa: INP001 -- a file to copy, not part of a package
"""Play speech while it is generated: `pip install httpx`, then `python streaming_playback.py Some text`.

Raw samples are written to a player's standard input as they arrive. The player is ffplay (part of ffmpeg) unless
VOXFLEET_PLAYER has another command, such as `aplay -t raw -f S16_LE -r {rate} -`; `{rate}` becomes the sample rate.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time

import httpx

URL = os.environ.get("VOXFLEET_URL", "http://127.0.0.1:6006")
MODEL = os.environ.get("VOXFLEET_MODEL", "narrator")
API_KEY = os.environ.get("VOXFLEET_API_KEY", "none")
PLAYER = os.environ.get("VOXFLEET_PLAYER", "ffplay -loglevel error -nodisp -autoexit -f s16le -ar {rate} -")
WAKE_SECONDS = 120


def play(text: str) -> float:
    """Play `text`; returns the seconds until the first samples arrived."""
    body = {"model": MODEL, "input": text, "voice": "default", "response_format": "pcm"}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    oldest_pending_at, first_seconds = time.monotonic(), 0.0
    with httpx.stream("POST", f"{URL}/v1/audio/speech", json=body, headers=headers, timeout=WAKE_SECONDS) as answer:
        if answer.is_error:
            sys.exit(f"{answer.status_code}: {answer.read().decode()}")
        command = shlex.split(PLAYER.format(rate=answer.headers["voxfleet-sample-rate"]))
        with subprocess.Popen(command, stdin=subprocess.PIPE) as player:
            assert player.stdin is not None  # noqa: S101 - Popen was given a pipe
            for chunk in answer.iter_raw():
                first_seconds = first_seconds or time.monotonic() - oldest_pending_at
                player.stdin.write(chunk)
                player.stdin.flush()
            player.stdin.close()
    return first_seconds


if __name__ == "__main__":
    if shutil.which(shlex.split(PLAYER)[0]) is None:
        sys.exit(f"{shlex.split(PLAYER)[0]} is not installed; install it, or set VOXFLEET_PLAYER to another player")
    try:
        text = "You hear the first words while the last ones are still being made."  # words: speech
        seconds = play(" ".join(sys.argv[1:]) or text)
    except httpx.TransportError as error:
        sys.exit(f"{URL}: {error}")
    sys.stdout.write(f"first audio after {seconds * 1000:.0f} ms\n")
