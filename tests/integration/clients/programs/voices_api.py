"""Makes a consent and voices with OpenAI's own client, speaks with them, deletes them; prints what came as JSON.

Run by the Python of the clients' own environment: `voices_api.py URL RECORDING`, a WAV file. It prints `ready` and
waits for a line.
"""

import json
import sys
from pathlib import Path
from typing import Any

import openai


def error_of(call: Any, **arguments: Any) -> dict[str, Any]:
    try:
        call(**arguments)
    except openai.APIStatusError as error:
        return {"type": type(error).__name__, "param": error.param, "code": error.code, "text": error.message}
    return {}


def main(url: str, recording: Path) -> dict[str, Any]:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="KEY", max_retries=0)
    consents, voices = client.audio.voice_consents, client.audio.voices
    consent = consents.create(name="Ada", language="en-US", recording=recording)
    renamed = consents.update(consent.id, name="Ada of the north")
    sample = {"name": "Ada", "audio_sample": recording, "consent": consent.id}
    without_transcript = error_of(voices.create, **sample)
    voice = voices.create(**sample, extra_body={"transcript": "This is what I said."})
    prompted = voices.create(name="Sage", prompt="A calm old man", type="prompt", script_hint="I am calm.")

    def spoken(name: Any) -> int:
        speech = client.audio.speech.with_streaming_response
        with speech.create(model="tts-1", voice=name, input="Hello.", response_format="pcm") as response:
            return sum(len(chunk) for chunk in response.iter_bytes())

    sizes = [spoken(name) for name in (voice.id, {"id": voice.id}, "Ada", prompted.id)]
    kept = error_of(consents.delete, consent_id=consent.id)
    deleted = [voices.delete(each.id).deleted for each in (voice, prompted)]
    unknown = error_of(spoken, name=voice.id)
    listed = [each.id for each in consents.list(limit=1)]
    return {
        "version": openai.__version__,
        "consent": consent.model_dump(),
        "renamed": [renamed.id == consent.id, renamed.name, consents.retrieve(consent.id).name],
        "without_transcript": without_transcript,
        "voice": voice.model_dump(),
        "prompted": prompted.model_dump(),
        "sizes": sizes,
        "kept": kept,
        "deleted": [*deleted, consents.delete(consent.id).deleted],
        "unknown": unknown,
        "listed": listed,
        "gone": error_of(consents.retrieve, consent_id=consent.id),
    }


if __name__ == "__main__":
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))  # noqa: T201
