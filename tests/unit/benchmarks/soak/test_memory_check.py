"""The soak's memory check, on levels whose growth is known."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20
SOURCE = Path(__file__).parents[4] / "benchmarks" / "soak" / "memory_check.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("soak_memory_check", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


memory_check = load()
LEVELS = st.integers(50 * MIB, 4000 * MIB)


def check(levels: list[int]) -> Any:
    return memory_check.check_memory(levels, 8 * MIB)


@given(level=LEVELS, warm_up=st.integers(0, 500 * MIB), waves=st.integers(4, 40))
def test_what_fills_in_the_first_half_is_flat(level: int, warm_up: int, waves: int) -> None:
    first = (waves - 1) // 2
    levels = [level - warm_up * (first - at) // (first + 1) for at in range(first)] + [level] * (waves - first)
    assert check(levels).is_flat


@given(level=LEVELS, noise=st.lists(st.integers(-4 * MIB, 4 * MIB), min_size=4, max_size=40))
def test_steps_of_an_allocator_are_flat(level: int, noise: list[int]) -> None:
    assert check([level + each for each in noise]).is_flat


@given(level=LEVELS, leak=st.integers(-20 * MIB, 20 * MIB), waves=st.integers(2, 40))
def test_a_steady_growth_is_measured(level: int, leak: int, waves: int) -> None:
    levels = [level + 50 * 20 * MIB + leak * at for at in range(waves)]
    half = len(levels) - (waves - 1) // 2
    assert check(levels).growth_bytes == pytest.approx(leak * (half - 1), rel=1e-6, abs=1)


@given(level=LEVELS, noise=st.lists(st.integers(-4 * MIB, 4 * MIB), min_size=6, max_size=6))
def test_a_leak_is_found_in_noise(level: int, noise: list[int]) -> None:
    leak_in_the_half = 8 * MIB + 0.02 * (level + 50 * MIB) + 12 * MIB
    levels = [level + each + int(leak_in_the_half * at / 3) for at, each in enumerate(noise)]
    assert not check(levels).is_flat


def test_one_wave_has_no_slope() -> None:
    assert check([100 * MIB]).is_flat


def test_two_waves_are_compared() -> None:
    assert check([100 * MIB, 110 * MIB]).is_flat
    assert not check([100 * MIB, 111 * MIB]).is_flat


def test_the_text_has_levels_and_growth() -> None:
    text = str(check([100 * MIB, 200 * MIB, 200 * MIB, 201 * MIB, 202 * MIB, 203 * MIB]))
    assert text == "100 200 200 201 202 203 MiB after each wave, +3.0 in the second half (12.0 allowed)"
