from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from voxfleet_inference.telemetry.gpu import GpuReader, GpuReading, watch_gpu


class FakeNvml:
    """The used part of pynvml, with two GPUs; calls named in `broken` fail."""

    class NVMLError(Exception):
        pass

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.asked_for: list[object] = []

    def call(self, name: str) -> None:
        if name in self.broken:
            raise self.NVMLError(name)

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's names
        self.call("init")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        self.asked_for.append(index)
        return f"gpu {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked_for.append(uuid)
        return uuid

    def nvmlDeviceGetUtilizationRates(self, device: str) -> Any:  # noqa: N802
        self.call("utilization")
        return SimpleNamespace(gpu=81, memory=5, device=device)

    def nvmlDeviceGetMemoryInfo(self, device: str) -> Any:  # noqa: N802
        self.call("memory")
        return SimpleNamespace(used=2**30, total=2**37, device=device)


def reader(nvml: Any, visible: str = "") -> GpuReader:
    return GpuReader(visible, load_nvml=lambda: nvml)


def test_a_reading_has_a_ratio_and_bytes() -> None:
    assert reader(FakeNvml()).read() == GpuReading(0.81, 2**30, 2**37)


@pytest.mark.parametrize(
    ("visible", "device"), [("", 0), ("1,0", 1), ("GPU-12ab", "GPU-12ab"), (" MIG-77 ,MIG-78", "MIG-77")]
)
def test_the_first_visible_device_is_read(visible: str, device: object) -> None:
    nvml = FakeNvml()
    reader(nvml, visible)
    assert nvml.asked_for == [device]


def test_without_driver_library_or_device_there_are_no_readings() -> None:
    def no_module() -> Any:
        raise ModuleNotFoundError("pynvml")

    assert reader(FakeNvml("init")).read() is None
    assert GpuReader("", load_nvml=no_module).read() is None
    assert reader(FakeNvml(), "no-device").read() is None


def test_the_real_library_gives_a_valid_reading_or_none() -> None:
    seen = GpuReader("").read()
    assert seen is None or seen.utilization is None or 0 <= seen.utilization <= 1


def test_a_server_on_a_cpu_reads_no_gpu() -> None:
    nvml = FakeNvml()
    assert GpuReader("", "cpu", lambda: nvml).is_there is False
    assert nvml.asked_for == []


def test_a_failing_gpu_gives_no_reading_and_a_mig_slice_only_its_memory() -> None:
    assert reader(FakeNvml("memory")).read() is None
    assert reader(FakeNvml("utilization")).read() == GpuReading(None, 2**30, 2**37)


async def test_the_watch_continues_after_a_failed_reading(wait_until: Any) -> None:
    nvml, seen = FakeNvml("memory"), []
    watching = asyncio.create_task(watch_gpu(lambda: reader(nvml), seen.append, 0.01))
    await asyncio.sleep(0.05)
    assert seen == []
    nvml.broken.clear()
    await wait_until(lambda: len(seen) >= 2)
    watching.cancel()


async def test_the_watch_returns_without_a_gpu() -> None:
    seen: list[GpuReading] = []
    await asyncio.wait_for(watch_gpu(lambda: reader(FakeNvml("init")), seen.append, 0.01), 60)
    assert seen == []
