"""The GPU benchmark's code for a GPU, run on the fake one: every part completes."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
import torch
from fake_cuda import FakeCuda
from voxfleet_inference.engine.steps import step_executor
from voxfleet_inference.model.cuda.shapes import Sizes, tiny_sizes

BENCHMARKS = Path(__file__).parents[6] / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "gpu")]

import device_clocks  # noqa: E402
import engine_streams  # noqa: E402
import gpu_bench  # noqa: E402 - the path first
import kernel_profile  # noqa: E402
import measured_parts  # noqa: E402
import model_under_test  # noqa: E402
import parity_checks  # noqa: E402
import reference_package  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
PARTS = {  # of each mode, and for how many rows
    "recorded": (("start", "parity", "steps", "streams", "text", "kernels", "contexts", "profile"), "1,2"),
    "launched": (("start", "steps"), "1"),
    "plain": (("start", "steps", "plain"), "1"),
}
SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn)


class FakeGenerator(torch.Generator):
    """A generator of a GPU, which FakeTensorMode does not provide."""

    def __new__(cls, device: Any = "cpu") -> Self:
        made = super().__new__(cls)
        made.__dict__["of"] = torch.device(device)
        return made

    @property
    def device(self) -> torch.device:
        return self.__dict__["of"]


def smallest_sizes() -> Sizes:
    """One layer everywhere: on fake tensors the time is that of dispatching operations."""
    tiny = tiny_sizes()
    parts = {name: replace(getattr(tiny, name), layers=1) for name in ("base_lm", "residual_lm", "local_encoder")}
    return replace(tiny, local_dit=replace(tiny.local_dit, layers=1), **parts)


@pytest.fixture
def gpu(fake_cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """The functions of torch.cuda that the benchmark uses and a server does not."""

    class ThreadWithGpu(ThreadPoolExecutor):
        def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
            def there() -> Any:
                with fake_cuda.there():
                    return work(*given, **named)

            return super().submit(there)

    facts = SimpleNamespace(name="No GPU", major=9, minor=0, total_memory=2**30, multi_processor_count=1)
    for name, stand_in in {
        "get_device_properties": lambda *_: facts,
        "empty_cache": lambda: None,
        "max_memory_allocated": lambda: 0,
        "memory_reserved": lambda: 0,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(torch, "Generator", FakeGenerator)
    monkeypatch.setattr(model_under_test, "tiny_sizes", smallest_sizes)
    monkeypatch.setattr(measured_parts, "PARTS", dict.fromkeys(measured_parts.PARTS, 500))  # modes take their time
    monkeypatch.setitem(device_clocks.REPEATS, "cuda", 2)
    monkeypatch.setattr(step_executor, "ThreadPoolExecutor", ThreadWithGpu)
    monkeypatch.setattr(kernel_profile, "profile", lambda **_: profiling(fake_cuda))
    before = [switches.allow_tf32 for switches in SWITCHES]
    yield fake_cuda
    for switches, allowed in zip(SWITCHES, before, strict=True):
        switches.allow_tf32 = allowed


@contextmanager
def profiling(cuda: FakeCuda) -> Iterator[Any]:
    """The kernels launched, as the profiler would list them."""
    seen, before = SimpleNamespace(), len(cuda.launches)
    yield seen
    kind = SimpleNamespace(name="CUDA")
    names = [*cuda.launches[before:], "Memcpy DtoD"]
    made = [SimpleNamespace(name=name, device_type=kind, self_device_time_total=2.0) for name in names]
    seen.function_events = made


@pytest.mark.parametrize("mode", PARTS)
def test_every_part_completes_in_every_mode(gpu: FakeCuda, tmp_path: Path, mode: str) -> None:
    parts, batches = PARTS[mode]
    given = ["--size=tiny", f"--batches={batches}", "--streams=2", "--patches=2", "--text-patches=12"]
    given += [f"--mode={mode}", f"--parts={','.join(parts)}", f"--into={tmp_path / 'found.json'}"]
    assert gpu_bench.main(given) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["machine"]["device"] == "No GPU"
    assert [part for part in parts if "error" in json.dumps(found[part])] == []
    phases = found["start"]
    assert ("graphs_seconds" in phases, "fuse_seconds" in phases) == (mode == "recorded", mode != "plain")
    assert bool(gpu.graphs) == (mode == "recorded")
    if mode == "recorded":
        assert found["profile"]["rows"][0]["lms"]["kernels"] > 10
        assert found["profile"]["rows"][0]["lms"]["copies"] == 1


def test_a_failed_comparison_leaves_the_others(gpu: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise ValueError("no such codec")

    monkeypatch.setattr(parity_checks, "codec_decibels", fail)
    monkeypatch.setattr(parity_checks, "teacher_forced", lambda _: {"latents": {}})
    given = ["--size=tiny", "--batches=1", "--streams=1", "--parts=start,parity", f"--into={tmp_path / 'found.json'}"]
    assert gpu_bench.main(given) == 0
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["parity"]
    assert found["codec_decibels"] == {"error": "ValueError: no such codec"}
    assert found["latents"] == {}
    assert gpu.graphs


def test_a_dead_engine_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    class DeadEngine:
        def __init__(self, *_: Any) -> None:
            self.enqueue = lambda _: None

        def run(self) -> None:
            raise RuntimeError("CUDA error: gone")

    monkeypatch.setattr(engine_streams, "Engine", DeadEngine)
    target = SimpleNamespace(rows=1, backend=None, patch_seconds=0.16)
    with pytest.raises(RuntimeError, match="gone"):
        engine_streams.run_sentences(target, [], time.monotonic() + 600)


def test_more_rows_than_the_model_has_are_rejected_by_name() -> None:
    target = model_under_test.ModelUnderTest(torch.device("cpu"), "tiny", 2, None, print)
    with pytest.raises(ValueError, match="room for 2 rows: no measurement of 3"):
        target.check_rows(3)
    with pytest.raises(RuntimeError, match="not started"):
        target.started_runner()


def test_a_failure_of_the_references_compiler_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SimpleNamespace(optimize=lambda: model)
    times = iter([12.0])
    monkeypatch.setattr(reference_package.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(reference_package, "_model", lambda _: model)
    monkeypatch.setattr(reference_package, "_step_ms", lambda *_: next(times))
    target = SimpleNamespace(is_gpu=True, print_line=print)
    found = list(reference_package.measure_reference(target, time.monotonic() + 600))
    assert found[-1]["eager_step_ms"] == 12.0
    assert found[-1]["compiled"].startswith("StopIteration")


def test_a_profiler_without_events_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_profile, "profile", lambda **_: nullcontext(SimpleNamespace(function_events=[])))
    target = SimpleNamespace(is_gpu=True, wait=lambda: None)
    assert kernel_profile.seen_by_profiler(target, lambda: None)["kernels"] is None
