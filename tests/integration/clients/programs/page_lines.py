"""Runs blocks of Python from docs/clients.md and speaks with what each makes; prints what came of them as JSON.

Run by the Python of the clients' own environment: `page_lines.py URL BLOCKS`, a JSON list. A block leaves a `client` of
OpenAI's package, or a `tts` of LiveKit or Pipecat. It prints `ready` once all are made, and waits for a line.
"""

import asyncio
import json
import sys
from typing import Any

import speak


async def spoken_by(made: dict[str, Any], url: str) -> dict[str, Any]:
    """Speak with the object through the same steps as the other tests, in its place there."""
    if "client" in made:
        speech = made["client"].audio.speech
        body = speech.create(model="tts-1", voice="alloy", input=speak.SENTENCE, response_format="pcm").read()
        return {"client": "openai", "seconds": len(body) / 2 / speak.RATE}
    tts = made["tts"]
    library, _, *rest = type(tts).__module__.split(".")
    if library == "pipecat":
        speak.pipecat_service = lambda _url, _client: tts
        return {"client": type(tts).__name__} | await speak.outcome("pipecat-page", url)
    service = rest[0]

    def with_session(_url: str, session: Any = None) -> Any:
        tts._session = session or tts.__dict__.get("_session")  # outside of an agent's job a plug-in has none
        return tts

    setattr(speak, f"livekit_{service}", with_session)
    return {"client": f"livekit {service}"} | await speak.outcome(f"livekit-{service}", url)


def made_by(block: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    exec(block, made)  # noqa: S102  # it is the repository's own page
    return made


async def main(url: str, blocks: list[str]) -> list[dict[str, Any]]:
    made = [made_by(block) for block in blocks]
    speak.wait_for_start()
    return [await spoken_by(each, url) for each in made]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))))  # noqa: T201
