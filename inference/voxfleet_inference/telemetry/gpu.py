"""The GPU's utilization and memory, from NVIDIA's management library (NVML).

Knows: NVML through nvidia-ml-py's module `pynvml`, and which GPU CUDA_VISIBLE_DEVICES makes the first one. Without
GPU, driver or library there are no readings, which is no error.
Does not know: what readings are used for.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

_logger: Final = structlog.get_logger("voxfleet_inference")


@dataclass(frozen=True, slots=True)
class GpuReading:
    """The GPU at one moment."""

    utilization: float | None  # 0..1; None where the driver has no value, as for a MIG slice
    memory_used_bytes: int
    memory_total_bytes: int


class GpuReader:
    """Reads one GPU; opening it is tried once."""

    def __init__(self, visible_devices: str, device: str = "cuda", load_nvml: Callable[[], Any] | None = None) -> None:
        """Find the GPU.

        Args:
            visible_devices: CUDA_VISIBLE_DEVICES, or an empty string.
            device: the model's device; nothing is read for `cpu`.
            load_nvml: imports the module; the real one by default.
        """
        self._nvml: Any = None
        self._device: Any = None
        if device != "cuda":
            return
        try:
            nvml = (load_nvml or _real_nvml)()
            nvml.nvmlInit()
            self._device = _first_device(nvml, visible_devices)
            self._nvml = nvml
        except Exception as error:  # noqa: BLE001 - a missing driver or library raises several types
            _logger.info("gpu_not_found", reason=f"{type(error).__name__}: {error}")

    @property
    def is_there(self) -> bool:
        """Whether a GPU was found."""
        return self._nvml is not None

    def read(self) -> GpuReading | None:
        """Return a reading; None without a GPU, or when the driver reports an error."""
        if self._nvml is None:
            return None
        try:
            memory = self._nvml.nvmlDeviceGetMemoryInfo(self._device)
            return GpuReading(self._utilization(), int(memory.used), int(memory.total))
        except self._nvml.NVMLError:
            return None

    def _utilization(self) -> float | None:
        try:
            return float(self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu) / 100
        except self._nvml.NVMLError:
            return None


async def watch_gpu(
    make_reader: Callable[[], GpuReader], take: Callable[[GpuReading], None], every_seconds: float
) -> None:
    """Pass a reading to `take` every `every_seconds`; return at once without a GPU. A thread reads: drivers block."""
    reader = await asyncio.to_thread(make_reader)
    while reader.is_there:
        reading = await asyncio.to_thread(reader.read)
        if reading is not None:
            take(reading)
        await asyncio.sleep(every_seconds)


def _first_device(nvml: Any, visible_devices: str) -> Any:
    first = visible_devices.split(",", maxsplit=1)[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first or 0))


def _real_nvml() -> Any:
    return importlib.import_module("pynvml")
