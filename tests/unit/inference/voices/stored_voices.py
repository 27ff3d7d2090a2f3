"""A voice from a recording, and one designed by a seed, as they are stored."""

import numpy as np
from voxfleet_inference.voices.file_format import StoredVoice, VoiceMetadata, voice_id


def voice(transcript: str = "What I said.", payload: bytes = b"sound" * 100, created_at: int = 1) -> StoredVoice:
    metadata = VoiceMetadata(
        id=voice_id("audio_sample", payload, transcript),
        name="Ada",
        created_at=created_at,
        type="audio_sample",
        transcript=transcript,
        consent="yes",
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)


def designed(shape: tuple[int, int, int] = (3, 4, 64), seed: int = 7) -> StoredVoice:
    payload = np.arange(np.prod(shape), dtype="<f4").tobytes()
    metadata = VoiceMetadata(
        id=voice_id("seed", payload, "Hello."),
        name="seven",
        created_at=2,
        type="seed",
        transcript="Hello.",
        seed=seed,
        latents_shape=shape,
        payload_bytes=len(payload),
    )
    return StoredVoice(metadata, payload)
