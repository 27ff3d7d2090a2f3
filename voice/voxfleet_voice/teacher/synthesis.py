"""Parameters on the latent grid -> audio at 44.1 kHz.

A pulse train locked to the grid (pitch.py) through a minimum-phase harmonic filter, plus one fixed segment of noise,
repeated every latent frame, through the noise filter; both by overlap-add of short Fourier transforms.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

from voxfleet_voice.teacher.grid import (
    FRAME_SAMPLES,
    HOP_SAMPLES,
    LAG_SUBFRAMES,
    SUBFRAME_SAMPLES,
    SUBFRAMES,
)
from voxfleet_voice.teacher.hibari_voice import Floats, Parameters
from voxfleet_voice.teacher.pitch import Periods, periods_per_frame, phase_and_pitch

Spectra = NDArray[np.complexfloating[Any, Any]]
WINDOW: Final = 1200  # samples at 24 kHz, 601 bins of 20 Hz
_HANN: Final = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)
_PULSE_HANN: Final = _HANN / (WINDOW / 4)  # a unit cosine peaks at half the window's sum
MAX_LOG_MAGNITUDE: Final = 7.0
_BANDWIDTH_HZ: Final = 11_000.0
_SILENT_LOG_MAGNITUDES: Final = (-9.0, -12.0)  # harmonic, noise
_RESAMPLING: Final = (147, 80)  # 24 kHz -> 44.1 kHz
LOUDNESS: Final = 1.5
PEAK: Final = 0.98


def _fixed_noise() -> NDArray[np.float64]:
    noise = np.random.RandomState(7).randn(FRAME_SAMPLES)
    centred = noise - noise.mean()
    scaled: NDArray[np.float64] = centred / centred.std()
    return scaled


NOISE: Final = _fixed_noise()


def voicing(pitch_hz: Floats) -> Floats:
    """Return the gain of the harmonic branch: 0 below 60 Hz, 1 above 120 Hz."""
    return np.clip((pitch_hz - 60) / 60, 0, 1)


def on_grid(parameters: Parameters) -> Parameters:
    """Delay by LAG_SUBFRAMES and fill up to whole latent frames: [3 frames] rows."""
    rows = len(parameters)
    after = -(rows + LAG_SUBFRAMES) % SUBFRAMES

    def padded(values: Floats, silent: float) -> Floats:
        widths = [(LAG_SUBFRAMES, after), *((0, 0) for _ in values.shape[1:])]
        return np.pad(values, widths, constant_values=silent)

    harmonic, noise = _SILENT_LOG_MAGNITUDES
    return Parameters(
        padded(parameters.harmonic, harmonic), padded(parameters.noise, noise), padded(parameters.pitch_hz, 0.0)
    )


def synthesize(parameters: Parameters) -> Floats:
    """Return the audio of parameters, LAG_SUBFRAMES late: [frames x 1764] samples at 44.1 kHz."""
    grid = on_grid(parameters)
    periods = periods_per_frame(grid.pitch_hz)
    pulses = _spectra(pulse_train(periods), _PULSE_HANN, "reflect")  # [3 frames, 601]
    filtered = pulses * minimum_phase(np.minimum(grid.harmonic, MAX_LOG_MAGNITUDE)) * voicing(grid.pitch_hz)[:, None]
    noise_gain = np.exp(np.minimum(grid.noise, MAX_LOG_MAGNITUDE)) / np.sqrt((_HANN**2).sum())
    noise = _spectra(np.tile(NOISE, len(periods)), _HANN, "wrap") * noise_gain
    audio = _overlap_add(filtered + noise)
    resampled = scipy.signal.resample_poly(audio, *_RESAMPLING)[: len(periods) * HOP_SAMPLES]
    clipped: Floats = np.clip(resampled * LOUDNESS, -PEAK, PEAK).astype(np.float32)
    return clipped


def pulse_train(periods: Periods) -> NDArray[np.float64]:
    """Return every harmonic below 11 kHz at unit amplitude: [frames] -> [frames x 960]."""
    phase, pitch_hz = phase_and_pitch(periods)
    angle = 2 * np.pi * (phase % 1.0)
    order = np.floor(_BANDWIDTH_HZ / np.maximum(pitch_hz, 60.0)) + 0.5
    denominator = 2 * np.sin(angle / 2)
    is_peak = np.abs(denominator) < 2e-3  # noqa: PLR2004 - where the quotient has its limit
    return np.where(is_peak, order, np.sin(order * angle) / np.where(is_peak, 1, denominator)) - 0.5


def minimum_phase(log_magnitude: Floats) -> Spectra:
    """Return the minimum-phase response by the folded cepstrum: [rows, 601] -> [rows, 601]."""
    cepstrum = scipy.fft.irfft(log_magnitude, WINDOW, axis=1)
    fold = np.zeros(WINDOW, np.float32)
    fold[[0, WINDOW // 2]] = 1
    fold[1 : WINDOW // 2] = 2
    response: Spectra = np.exp(scipy.fft.rfft(cepstrum * fold, axis=1))
    return response


def _spectra(signal: NDArray[np.float64], window: Floats, edge: str) -> Spectra:
    """Transform a window around every sub-frame: [3 frames, 601]."""
    half = WINDOW // 2
    padded = np.pad(signal, (half, half + SUBFRAME_SAMPLES), mode=edge)  # type: ignore[call-overload]
    views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::SUBFRAME_SAMPLES]
    spectra: Spectra = scipy.fft.rfft(views[: len(signal) // SUBFRAME_SAMPLES] * window, axis=1)
    return spectra


def _overlap_add(spectra: Spectra) -> NDArray[np.float64]:
    """Transform back, window, add, and divide by the summed squares of the window."""
    frames = scipy.fft.irfft(spectra, WINDOW, axis=1) * _HANN
    audio = np.zeros(len(frames) * SUBFRAME_SAMPLES + WINDOW)
    weight = np.zeros_like(audio)
    for row, frame in enumerate(frames):
        part = slice(row * SUBFRAME_SAMPLES, row * SUBFRAME_SAMPLES + WINDOW)
        audio[part] += frame
        weight[part] += _HANN**2
    half = WINDOW // 2
    made: NDArray[np.float64] = audio / np.maximum(weight, 0.3 * weight.max())
    return made[half : half + len(frames) * SUBFRAME_SAMPLES]
