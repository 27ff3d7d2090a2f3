"""How busy the GPU is and how much of its memory is used, from NVIDIA's management library.

Knows: NVML, by the one module that wraps it, and which GPU CUDA_VISIBLE_DEVICES makes the first one. A machine without
GPU, driver or library has nothing to read, which is no error.
Does not know: who asks.
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

    utilization: float | None  # 0..1; None where the driver does not tell, as for a slice (MIG)
    memory_used_bytes: int
    memory_total_bytes: int


class GpuReader:
    """Reads one GPU; what fails once at the start is not tried again."""

    def __init__(self, visible_devices: str, device: str = "cuda", load_nvml: Callable[[], Any] | None = None) -> None:
        """Find the GPU.

        Args:
            visible_devices: CUDA_VISIBLE_DEVICES, or nothing.
            device: what the model runs on; a server on a processor watches no GPU.
            load_nvml: gives the module; the real one by default.
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
        except Exception as error:  # noqa: BLE001 - each driver has its own ways to be absent
            _logger.info("no GPU to watch", reason=f"{type(error).__name__}: {error}")

    @property
    def is_there(self) -> bool:
        """Whether a GPU was found."""
        return self._nvml is not None

    def read(self) -> GpuReading | None:
        """The GPU now; None where there is none, or it does not answer."""
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
    """Read the GPU for ever, in a thread, because a driver may take its time; where there is none, end."""
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
