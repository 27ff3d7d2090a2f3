"""`synthesize` with a tiny checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from voxfleet_inference.audio.encoding import to_int16
from voxfleet_inference.commands.synthesis_options import SynthesisError, SynthesisOptions
from voxfleet_inference.commands.synthesize import synthesize
from voxfleet_inference.engine.steps.noise import patch_noise
from voxfleet_inference.model.random_weights.tiny_checkpoint import write_tiny_checkpoint
from voxfleet_inference.voices.disk_store import DiskVoiceStore, StoreLimits
from voxfleet_inference.voices.file_format import StoredVoice, VoiceMetadata, voice_id

PATCH = 7056
TEXT = "The weather is fine today. 今天天气很好。"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_checkpoint(folder, 0)
    return folder


def speak(tiny: Path, output: Path, **changes: Any) -> Any:
    return synthesize(
        SynthesisOptions(**{"model_path": tiny, "text": TEXT, "output": output, "inference_timesteps": 4, **changes})
    )


def wav_samples(path: Path) -> Any:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_a_wav_has_exactly_the_spoken_samples(tiny: Path, tmp_path: Path) -> None:
    spoken = speak(tiny, tmp_path / "a.wav", seed=4)
    assert (tmp_path / "a.wav").read_bytes()[44:] == to_int16(spoken.samples)
    assert len(wav_samples(tmp_path / "a.wav")) == len(spoken.samples)
    first_sentence = [patch.samples for patch in spoken.patches[: spoken.sentence_starts[1]]]
    assert np.array_equal(spoken.samples[: PATCH * len(first_sentence) - PATCH], np.concatenate(first_sentence[:-1]))
    pause = len(spoken.samples) - PATCH * len(spoken.patches)
    assert 0.1 < pause / 44100 < 1
    assert spoken.sentence_starts[0] == 0
    assert len(spoken.sentence_starts) == 2


def test_the_seed_decides_everything(tiny: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        speak(tiny, tmp_path / f"{name}.wav", seed=seed)
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c


def test_a_tape_of_the_seeds_noise_gives_the_same_latents(tiny: Path, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"splits": False, "retries": False, "max_steps": 6}
    speak(tiny, tmp_path / "seed.wav", seed=11, latents_out=tmp_path / "seed.safetensors", **flags)
    tape = np.stack([patch_noise(11, 0, 0, step, 4, 64) for step in range(6)])
    save_file({"noise": tape}, tmp_path / "tape.safetensors")
    speak(
        tiny,
        tmp_path / "t.wav",
        noise_file=tmp_path / "tape.safetensors",
        latents_out=tmp_path / "t.safetensors",
        **flags,
    )
    by_seed, by_tape = load_file(tmp_path / "seed.safetensors"), load_file(tmp_path / "t.safetensors")
    assert np.array_equal(by_seed["latents"], by_tape["latents"])
    assert by_seed["latents"].shape[1:] == (4, 64)
    assert by_seed["sentence_starts"].tolist() == [0]


def test_a_short_tape_is_an_error_with_both_numbers(tiny: Path, tmp_path: Path) -> None:
    save_file({"noise": np.zeros((2, 4, 64), np.float32)}, tmp_path / "tape.safetensors")
    with pytest.raises(SynthesisError, match="the noise tape has 2 steps; step 3 is needed"):
        speak(tiny, tmp_path / "a.wav", noise_file=tmp_path / "tape.safetensors")


@pytest.mark.parametrize(
    ("tensors", "words"),
    [({"other": (2, 4, 64)}, "no tensor `noise`"), ({"noise": (2, 64, 4)}, r"shape \[2, 64, 4\]; \[steps, 4, 64\]")],
)
def test_a_tape_of_another_shape_is_an_error_with_both_shapes(
    tiny: Path, tmp_path: Path, tensors: dict[str, tuple[int, ...]], words: str
) -> None:
    save_file({name: np.zeros(shape, np.float32) for name, shape in tensors.items()}, tmp_path / "tape.safetensors")
    with pytest.raises(SynthesisError, match=words):
        speak(tiny, tmp_path / "a.wav", noise_file=tmp_path / "tape.safetensors")


@pytest.mark.parametrize("ending", ["wav", "opus"])  # at the model's rate, and at 48 kHz
def test_a_recording_changes_the_voice(tiny: Path, tmp_path: Path, ending: str) -> None:
    voice = tmp_path / f"voice.{ending}"
    speak(tiny, voice, text="A voice to be copied from here on.", seed=5)
    cloned = speak(tiny, tmp_path / "b.wav", reference_audio=voice, reference_text="A voice.", seed=1)
    plain = speak(tiny, tmp_path / "c.wav", seed=1)
    assert not np.array_equal(cloned.patches[0].latents, plain.patches[0].latents)


def test_sentences_after_the_first_continue_its_voice(tiny: Path, tmp_path: Path) -> None:
    together = speak(tiny, tmp_path / "a.wav", seed=3)
    second_start = together.sentence_starts[1]
    alone = speak(tiny, tmp_path / "b.wav", text="今天天气很好。", seed=3)
    assert not np.array_equal(together.patches[second_start].latents, alone.patches[0].latents)


def test_the_name_of_the_file_is_its_format_in_any_case(tiny: Path, tmp_path: Path) -> None:
    formats = {"a.FLAC": "flac", "b.Opus": "ogg", "c.mp3": "mp3", "d.WAV": "wav"}
    for name, container in formats.items():
        speak(tiny, tmp_path / name, text="Short.", max_steps=4, retries=False)
        with av.open(str(tmp_path / name)) as opened:
            assert opened.format.name == container, name


@pytest.mark.parametrize("name", ["a.ogg", "a.wave", "a", "flac", ".mp3", "a.mp3.txt"])
def test_an_unknown_ending_is_refused_before_anything_is_loaded(tmp_path: Path, name: str) -> None:
    with pytest.raises(SynthesisError, match=r"must end with one of \.mp3, \.opus, .* given"):
        speak(tmp_path / "nowhere", tmp_path / name)


def test_speed_and_normalize_act_as_in_a_server(tiny: Path, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"max_steps": 12, "retries": False, "splits": False}
    normal = speak(tiny, tmp_path / "a.wav", text="It costs $3.50 today.", **flags)
    fast = speak(tiny, tmp_path / "b.wav", text="It costs $3.50 today.", speed=2.0, **flags)
    assert fast.seconds == pytest.approx(normal.seconds / 2, rel=0.05)
    written = speak(tiny, tmp_path / "c.wav", text="It costs $3.50 today.", normalizes=True, **flags)
    spelled = speak(tiny, tmp_path / "d.wav", text="It costs three dollars and fifty cents today.", **flags)
    assert np.array_equal(written.samples, spelled.samples)
    assert not np.array_equal(written.samples, normal.samples)


@pytest.mark.parametrize("text", ["\U0001f600", "...", "\u200b"])
def test_text_without_speech_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SynthesisError, match="a letter or a digit"):
        speak(tmp_path / "nowhere", tmp_path / "a.wav", text=text)


def test_a_voice_is_found_by_its_name_as_a_server_finds_it(tiny: Path, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"max_steps": 6, "retries": False, "splits": False, "seed": 3}
    speak(tiny, tmp_path / "sample.wav", text="A voice to be copied from here on.", seed=5)
    recording = (tmp_path / "sample.wav").read_bytes()
    stored = StoredVoice(
        VoiceMetadata(
            id=voice_id("audio_sample", recording, "A voice."), name="Ada", created_at=1, type="audio_sample",
            transcript="A voice.", payload_bytes=len(recording),
        ),
        recording,
    )  # fmt: skip
    store = DiskVoiceStore(tmp_path / "voices", StoreLimits(10, 10**8))
    store.sweep()
    store.put(stored)
    cloned = speak(
        tiny, tmp_path / "a.wav", reference_audio=tmp_path / "sample.wav", reference_text="A voice.", **flags
    )
    for name in ("Ada", stored.metadata.id):
        named = speak(tiny, tmp_path / "b.wav", voice=name, voices_dir=tmp_path / "voices", **flags)
        assert np.array_equal(named.samples, cloned.samples)
    drawn, default, alloy, plain = (
        speak(tiny, tmp_path / "c.wav", voice=name, **flags).samples for name in ("random", "default", "alloy", "")
    )
    assert np.array_equal(drawn, plain)
    assert np.array_equal(default, alloy)
    assert not np.array_equal(default, plain)
    with pytest.raises(SynthesisError, match="--voice must be default or random, one of OpenAI's names"):
        speak(tiny, tmp_path / "d.wav", voice="Grace", voices_dir=tmp_path / "voices", **flags)


def test_an_error_of_the_command_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "voxfleet_inference", "synthesize", "--model-path", str(tmp_path / "nowhere")]
    done = subprocess.run(
        [*command, "--text", "hi", "-o", str(tmp_path / "a.wav")],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr
