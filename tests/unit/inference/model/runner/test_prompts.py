"""The cache of voice embeddings."""

import torch
from voxfleet_inference.model.runner.prompts import VoiceEmbeddingCache


def test_a_voice_is_embedded_once_and_as_far_as_it_is_read() -> None:
    embedded: list[int] = []

    def embed(latents: torch.Tensor) -> torch.Tensor:
        embedded.append(latents.shape[1])
        return latents.flatten(2)

    voices = VoiceEmbeddingCache(embed, torch.device("cpu"), group_size=16, limit_bytes=2**20)
    latents = torch.randn(40, 4, 64)
    for begin, end in ((0, 3), (3, 16), (16, 17), (17, 40)):
        assert torch.equal(voices.get(latents.clone()).embeddings(begin, end), latents[None, begin:end].flatten(2))
    assert embedded == [16, 16, 8]


def test_the_least_recently_used_voices_are_dropped() -> None:
    voices = VoiceEmbeddingCache(
        lambda latents: latents.flatten(2), torch.device("cpu"), group_size=16, limit_bytes=3000
    )
    latents = [torch.randn(1, 4, 64) for _ in range(4)]  # 1024 bytes each, and as much again once embedded
    first = voices.get(latents[0])
    voices.get(latents[1])
    assert voices.get(latents[0]) is first
    voices.get(latents[2])
    assert len(voices) == 2
    assert voices.get(latents[0]) is first
    first.embeddings(0, 1)
    voices.get(latents[3])
    assert len(voices) == 1
    assert voices.get(latents[0]) is not first
