import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from voxfleet_voice.codec.features import FEATURES, features_of, mel_filters
from voxfleet_voice.teacher.alignment import Segment, align, segments
from voxfleet_voice.teacher.grid import FRAME_SAMPLES, HOP_SAMPLES, LAG_SUBFRAMES
from voxfleet_voice.teacher.hibari_voice import Parameters
from voxfleet_voice.teacher.phones import PHONE_CLASSES, PHONES, SILENCE_ID
from voxfleet_voice.teacher.pitch import MAX_PERIODS, MIN_PERIODS, periods_per_frame, phase_and_pitch
from voxfleet_voice.teacher.synthesis import minimum_phase, on_grid, pulse_train, synthesize

periods = arrays(np.int64, st.integers(1, 12), elements=st.integers(MIN_PERIODS, MAX_PERIODS))


def parameters(rows: int, seed: int = 0) -> Parameters:
    random = np.random.default_rng(seed)
    harmonic, noise = (random.normal(-3, 1, (rows, 601)).astype(np.float32) for _ in range(2))
    return Parameters(harmonic, noise, np.full(rows, 200, np.float32))


@given(periods)
def test_a_frame_has_a_whole_number_of_periods(values: np.ndarray) -> None:
    phase, pitch_hz = phase_and_pitch(values)
    by_frame = phase.reshape(len(values), FRAME_SAMPLES)
    assert by_frame[:, 0] == pytest.approx(0)
    step = pitch_hz.reshape(len(values), -1)[:, -1] / 24_000
    assert by_frame[:, -1] + step == pytest.approx(values, abs=1e-3)


@given(arrays(np.float32, st.integers(1, 12).map(lambda frames: 3 * frames), elements=st.floats(0, 500, width=32)))
def test_pitch_steps_stay_in_range(pitch_hz: np.ndarray) -> None:
    found = periods_per_frame(pitch_hz)
    assert len(found) == len(pitch_hz) // 3
    assert ((found >= MIN_PERIODS) & (found <= MAX_PERIODS)).all()


def test_an_unvoiced_frame_takes_the_pitch_that_follows() -> None:
    pitch_hz = np.repeat(np.array([0, 175, 0, 250, 0], np.float32), 3)
    assert periods_per_frame(pitch_hz).tolist() == [7, 7, 10, 10, 10]


def test_equal_frames_have_equal_pulses() -> None:
    pulses = pulse_train(np.array([8, 8, 8])).reshape(3, -1)
    assert pulses[1] == pytest.approx(pulses[2])


def test_minimum_phase_keeps_the_magnitude() -> None:
    smooth = np.cos(np.linspace(0, np.pi, 601))[None].astype(np.float32)
    assert np.abs(minimum_phase(smooth)) == pytest.approx(np.exp(smooth), rel=1e-3)


@given(rows=st.integers(1, 40))
def test_audio_features_and_pitch_have_the_same_frames(rows: int) -> None:
    given_rows = parameters(rows)
    frames = -(-(rows + LAG_SUBFRAMES) // 3)
    assert len(on_grid(given_rows)) == 3 * frames
    assert features_of(given_rows).shape == (frames, FEATURES)
    assert len(synthesize(given_rows)) == frames * HOP_SAMPLES


def test_the_waveform_is_a_function_of_the_frame_grid() -> None:
    """Speech that begins three rows later is the same speech one frame later."""
    early = parameters(30)
    silent = Parameters(np.full((3, 601), -9, np.float32), np.full((3, 601), -12, np.float32), np.zeros(3, np.float32))
    late = Parameters(
        *(np.concatenate([getattr(silent, n), getattr(early, n)]) for n in ("harmonic", "noise", "pitch_hz"))
    )
    first, second = synthesize(early), synthesize(late)[HOP_SAMPLES:]
    inside = slice(3 * HOP_SAMPLES, 8 * HOP_SAMPLES)
    assert np.abs(first[inside] - second[inside]).max() < 1e-4 * np.abs(first).max()


def test_mel_filters_have_unit_sums() -> None:
    assert mel_filters(20, 60, 11_000).sum(1) == pytest.approx(np.ones(20))


def test_phonemes_share_a_words_letters() -> None:
    found = segments("hi you.", "hI ju.", np.array([2, 1, 2, 1, 1, 3, 1, 2]), first_row=1)
    assert found == [
        Segment("h", 0, 1, 2),
        Segment("I", 1, 2, 4),
        Segment(" ", 2, 4, 5),
        Segment("j", 3, 5, 6),
        Segment("u", 5, 6, 9),
        Segment(".", 6, 9, 10),
    ]


def test_marks_that_only_the_teacher_reads_belong_to_the_last_letter() -> None:
    found = segments("hi", "hI.", np.array([2, 1, 2, 1, 2]), first_row=0)
    assert found is not None
    assert [each.character for each in found] == [0, 1, 1]


def test_words_that_do_not_match_are_not_aligned() -> None:
    assert segments("one two", "wˈʌn", np.ones(6, np.int64), 0) is None
    assert segments("one -", "wˈʌn .", np.ones(8, np.int64), 0) is None


def test_stress_becomes_its_vowel_and_marks_become_silence() -> None:
    found = [Segment("ˈ", 0, 1, 2), Segment("A", 0, 2, 3), Segment(".", 1, 3, 4)]
    aligned = align(found, rows=6, characters=2)
    assert "".join(aligned.symbols) == " AA   "
    assert aligned.characters.tolist() == [0, 0, 0, 1, 1, 1]


def test_silence_and_marks_are_one_class() -> None:
    assert PHONE_CLASSES[SILENCE_ID] == PHONE_CLASSES[4] == 0
    assert len(set(PHONE_CLASSES.values())) == PHONES
