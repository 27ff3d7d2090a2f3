"""Our model against the public reference package: whole sentences, from text to samples, noise from one tape.

A quantizer code may flip only where the reference itself stood on the edge between two codes; our run then goes on
with the reference's code. Everything else holds 1e-4 in float32, which separates right from wrong: a rotary position
off by one moves the latents a thousand times as much (tested below).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.layers.transformer import RotaryTable
from voxfleet_inference.model.voxcpm import VoxCPM

from .conftest import CodesOf, Decoded, Reference, VoicePrompt, decode

TOLERANCE = 1e-4
EDGE = 1e-3  # in units of a code
CHINESE, ENGLISH = "今天天气很好，我们去北京。", "Hello, this is a sentence."
MIXED = "我们 want to test 人工智能 and ßé€😀!"

Of = Callable[[str, bool], Reference]
Model = Callable[[str, bool], VoxCPM]
Tape = Callable[[VoxCPM], Tensor]


@contextmanager
def guided_codes(model: VoxCPM, reference_codes: CodesOf, positions: int) -> Iterator[None]:
    """Give our quantizer the reference's codes wherever both are on an edge; anywhere else they must agree."""
    quantizer = model.network.fsq_layer
    queue = iter([reference_codes[0][:, positions:], *(step[:, None] for step in reference_codes[1:])])

    def forward(x: Tensor) -> Tensor:
        theirs = next(queue, None)
        mine = torch.tanh(quantizer.in_proj(x)) * quantizer.scale
        codes = torch.round(mine)
        if theirs is not None and theirs.numel():
            scaled = theirs * quantizer.scale
            flipped = codes != torch.round(scaled)
            from_edge = ((scaled - torch.floor(scaled)) - 0.5).abs()
            assert (from_edge[flipped] < EDGE).all()
            codes = torch.round(scaled)
        hidden: Tensor = quantizer.out_proj(codes / quantizer.scale)
        return hidden

    with patch.object(quantizer, "forward", forward):
        yield


def both(
    reference: Reference,
    model: VoxCPM,
    text: str,
    tape: Tensor,
    timesteps: int,
    cfg: float = 2.0,
    prompt: VoicePrompt | None = None,
    limit: int = 2000,
) -> tuple[Decoded, Decoded]:
    theirs = reference.decode(text, tape, timesteps, cfg, prompt, limit)
    positions = len(model.tokenizer.encode((prompt.text if prompt else "") + text)) + 1
    with guided_codes(model, theirs.codes, positions):
        mine = decode(model, text, tape, timesteps, cfg, prompt, limit)
    return theirs, mine


def assert_same(theirs: Decoded, mine: Decoded) -> None:
    assert mine.latents.shape == theirs.latents.shape
    assert mine.samples.shape == theirs.samples.shape
    torch.testing.assert_close(mine.latents, theirs.latents, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(mine.samples, theirs.samples, atol=TOLERANCE, rtol=0)


def voice(model: VoxCPM, seconds: float, text: str = "你好 world") -> VoicePrompt:
    noise = torch.randn(int(seconds * model.config.sample_rate), generator=torch.Generator().manual_seed(5))
    return VoicePrompt(text, model.encode_prompt_audio(0.3 * noise))


# A transcript's recording need not be a whole number of patches.
@pytest.mark.parametrize("version", ["1.5", "0.5b"])
@pytest.mark.parametrize("timesteps", [1, 2, 10, 40])
@pytest.mark.parametrize(("text", "seconds"), [(CHINESE, 1.03), (ENGLISH, 0.5), (MIXED, 2.0)])
@pytest.mark.parametrize("is_clone", [False, True], ids=["zero-shot", "clone"])
def test_every_kind_of_sentence(
    version: str,
    timesteps: int,
    text: str,
    seconds: float,
    is_clone: bool,  # noqa: FBT001
    reference: Of,
    ours: Model,
    tape: Tape,
) -> None:
    """Forty patches compare forty lengths, because a shorter sentence is the beginning of a longer one (see below).

    Forty timesteps take most of the time and affect one patch at a time, so one text has the full length with them.
    """
    patches = 40 if timesteps < 40 or text == MIXED else 10
    model = ours(version, True)
    prompt = voice(model, seconds) if is_clone else None
    theirs, mine = both(reference(version, True), model, text, tape(model), timesteps, prompt=prompt, limit=patches)
    assert len(mine.latents) == patches
    assert_same(theirs, mine)


@pytest.mark.parametrize("version", ["1.5", "0.5b"])
@pytest.mark.parametrize("seconds", [0, 0.7])
def test_a_shorter_sentence_is_the_beginning_of_a_longer_one(
    version: str, seconds: float, reference: Of, ours: Model, tape: Tape
) -> None:
    """The reference decodes whole sentences at once, ours patch by patch: both are cut at any length alike."""
    model, theirs = ours(version, True), reference(version, True)
    prompt = voice(model, seconds) if seconds else None
    longest = theirs.decode(CHINESE, tape(model), 2, 2.0, prompt, 40)
    for patches in (1, 2, 3, 4, 5, 13, 39):
        their, mine = both(theirs, model, CHINESE, tape(model), 2, prompt=prompt, limit=patches)
        assert len(mine.latents) == patches
        assert_same(their, mine)
        torch.testing.assert_close(their.latents, longest.latents[:patches], atol=TOLERANCE, rtol=0)
        samples = longest.samples[: patches * model.patch_samples]
        torch.testing.assert_close(their.samples, samples, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("version", ["1.5", "0.5b"])
def test_from_49_points_on_two_have_zero_velocity(version: str, reference: Of, ours: Model, tape: Tape) -> None:
    model = ours(version, True)
    theirs, mine = both(reference(version, True), model, CHINESE, tape(model), 49, limit=4)
    assert_same(theirs, mine)


@pytest.mark.parametrize("cfg", [1.0, 1.7, 6.0])
def test_guidance_strengths(cfg: float, reference: Of, ours: Model, tape: Tape) -> None:
    model = ours("1.5", True)
    theirs, mine = both(reference("1.5", True), model, ENGLISH, tape(model), 10, cfg, limit=6)
    assert_same(theirs, mine)


@pytest.mark.parametrize("text", [CHINESE, ENGLISH, MIXED, "我", "The whole of the question is whether it ends."])
@pytest.mark.parametrize("seconds", [0, 0.6])
def test_the_model_stops_where_the_reference_stops(
    text: str, seconds: float, reference: Of, ours: Model, tape: Tape
) -> None:
    model = ours("tiny", False)
    prompt = voice(model, seconds) if seconds else None
    theirs, mine = both(reference("tiny", False), model, text, tape(model), 2, prompt=prompt)
    steps = len(mine.latents)
    assert 4 <= steps < 6 * len(model.tokenizer.encode(text)) + 10
    assert_same(theirs, mine)


def test_the_published_entry_point_runs_the_tiny_checkpoint(
    checkpoint_folder: Callable[[str, bool], object], ours: Model
) -> None:
    from voxcpm import VoxCPM as Published  # noqa: PLC0415 - heavy

    published = Published(str(checkpoint_folder("tiny", False)), enable_denoiser=False, optimize=False, device="cpu")
    samples = published.generate(ENGLISH, inference_timesteps=2)
    assert len(samples) % ours("tiny", False).patch_samples == 0
    assert len(samples) > 0


def test_a_one_patch_prompt_keeps_the_first_new_patch(ours: Model, tape: Tape) -> None:
    """The reference drops it, because it always crops two patches, although such a prompt has only one."""
    model = ours("1.5", True)
    mine = decode(model, ENGLISH, tape(model), 2, 2.0, voice(model, 0.1), limit=3)
    assert len(mine.samples) == 3 * model.patch_samples


def test_the_tolerance_would_catch_a_rotary_position_off_by_one(
    reference: Of, ours: Model, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ours("1.5", True)
    theirs = reference("1.5", True).decode(ENGLISH, tape(model), 10, 2.0, limit=2)
    straight = RotaryTable.first

    def crooked(table: RotaryTable, tokens: int) -> tuple[Tensor, Tensor]:
        return tuple(angles[1:] for angles in straight(table, tokens + 1))  # type: ignore[return-value]

    def crooked_keys(table: RotaryTable, tokens: int) -> tuple[Tensor, Tensor]:
        return tuple(angles.roll(1, 0) for angles in straight(table, tokens))  # type: ignore[return-value]

    monkeypatch.setattr(RotaryTable, "first", crooked)  # all shifted alike: attention depends on differences only
    shifted = decode(model, ENGLISH, tape(model), 10, 2.0, limit=2)
    torch.testing.assert_close(shifted.latents, theirs.latents, atol=TOLERANCE, rtol=0)
    monkeypatch.setattr(RotaryTable, "first", crooked_keys)
    wrong = decode(model, ENGLISH, tape(model), 10, 2.0, limit=2)
    assert (wrong.latents - theirs.latents).abs().max() > 100 * TOLERANCE
