"""The server's code for a GPU, from the checkpoint to the samples, on the fake one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import UNORDERED, FakeCuda, FaultError
from voxfleet_inference.engine.messages import Sentence, VoicePrompt
from voxfleet_inference.engine.model_backend import Slot
from voxfleet_inference.engine.process import EngineSettings
from voxfleet_inference.engine.scheduling.plans import Limits
from voxfleet_inference.model.cuda.graphs import StepGraphs
from voxfleet_inference.model.runner.model_runner import ModelRunner
from voxfleet_inference.worker.loading import load_backend
from voxfleet_inference.worker.voxcpm_backend import LaunchedStep, VoxCpmBackend

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
VOICE = np.zeros((3, 4, 64), np.float32)
NOISE = np.zeros((2, 4, 64), np.float32)
WAYS = {
    "bfloat16": {"dtype": "bfloat16"},
    "bfloat16 codec": {"dtype": "bfloat16", "vae_dtype": "bf16"},
    "float32, deterministic": {"deterministic": True},
}


@pytest.fixture(autouse=True)
def restored_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore PyTorch's settings after each test."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    switches = [(matmul, "allow_tf32"), (matmul, "allow_bf16_reduced_precision_reduction")]
    switches += [(cudnn, name) for name in ("allow_tf32", "benchmark", "deterministic")]
    before = [getattr(*switch) for switch in switches]
    yield
    for switch, value in zip(switches, before, strict=True):
        setattr(*switch, value)


def loaded(checkpoint: Path, rows: int = 2, **given: Any) -> VoxCpmBackend:
    limits = Limits(max_rows=rows, max_waiting=8)
    settings = EngineSettings(model_path=checkpoint, device="cuda", limits=limits, kv_cache_positions=600, **given)
    return load_backend(settings)[0]


def take_two_steps(backend: VoxCpmBackend, timesteps: int = 10) -> LaunchedStep:
    """Admit two sentences, one with a voice, prefill them, and take two steps that are in flight at once."""
    prompts = (None, VoicePrompt("Well", VOICE))
    for slot, prompt in enumerate(prompts):
        sentence = Sentence(sequence_id=slot, text="Hello there.", seed=0, prompt=prompt, inference_timesteps=timesteps)
        backend.admit(Slot(slot, 100 * slot, 100), sentence)
        backend.prefill(slot, 5)
        backend.prefill(slot, 50)
    made = backend.step([0, 1], NOISE)
    backend.step([1], NOISE[:1])
    return made


@pytest.mark.parametrize("given", WAYS.values(), ids=WAYS.keys())
def test_prefill_and_steps_have_no_wait_no_host_tensor_and_no_race(
    fake_cuda: FakeCuda, checkpoint: Path, given: dict[str, Any]
) -> None:
    backend = loaded(checkpoint, **given)
    with fake_cuda.never_waiting():
        made = take_two_steps(backend)
    output = made.collect()
    assert [part.shape for part in (output.latents, output.samples)] == [(2, 4, 64), (2, 7056)]
    assert {"stream 1", "stream 2"} <= {stream.name for stream in fake_cuda.streams}
    assert [graph.replays for graph in fake_cuda.graphs] == ([2, 0] if given.get("deterministic") else [1, 1])
    assert {f"_{name}_kernel" for name in ("norm_linear", "linear_residual", "attention", "add_norm")} <= set(
        fake_cuda.launches
    )
    is_split = {"_split_kernel", "_merge_kernel"} <= set(fake_cuda.launches)
    assert is_split == (not given.get("deterministic"))
    assert not [name for name in fake_cuda.operations if name.removeprefix("aten::").rstrip("_") in UNORDERED]


def test_other_timesteps_are_captured_at_first_use(fake_cuda: FakeCuda, checkpoint: Path) -> None:
    backend = loaded(checkpoint)
    recorded = len(fake_cuda.graphs)
    take_two_steps(backend, timesteps=4)
    assert len(fake_cuda.graphs) == recorded + 2  # of two rows, and of one
    with fake_cuda.never_waiting():
        take_two_steps(backend, timesteps=4)


def test_a_voice_is_encoded_on_a_stream_of_its_own(fake_cuda: FakeCuda, checkpoint: Path) -> None:
    backend = loaded(checkpoint, rows=1)
    for rate in (44100, 16000):
        assert backend.encode_voice(np.zeros(rate // 2, np.float32), rate).shape == (4, 4, 64)
        assert fake_cuda.host.seen[fake_cuda.streams[-1].name] > fake_cuda.host.seen["default"]


@pytest.mark.usefixtures("fake_cuda")
def test_a_host_tensor_among_gpu_tensors_fails(checkpoint: Path) -> None:
    backend = loaded(checkpoint)
    slot_states = backend._runner.slot_states
    slot_states.position_increment = torch.ones(len(slot_states.position_increment), dtype=torch.int64)
    backend._runner.step_fn = backend._runner.compute_step
    with pytest.raises(FaultError, match=r"index\.Tensor has a GPU's tensors and the host's"):
        take_two_steps(backend)


@pytest.mark.usefixtures("fake_cuda")
def test_a_fork_that_is_not_joined_fails(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StepGraphs, "_join", lambda _: None)
    with pytest.raises(FaultError, match="stream 1 was not joined"):
        loaded(checkpoint)


def test_out_of_memory_in_a_capture_is_reported_as_such(
    fake_cuda: FakeCuda, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA does not end a capture with an unjoined stream, and that error would hide the first one."""

    def lm_step(*_: Any) -> None:
        if fake_cuda.is_recording:
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ModelRunner, "lm_step", lm_step)
    with pytest.raises(torch.OutOfMemoryError):
        loaded(checkpoint)


def on_gpu(*size: int) -> torch.Tensor:
    return torch.zeros(size, device="cuda")


FAULTS = {
    "a GPU's tensors and the host's": lambda: on_gpu(3) + torch.ones(3),
    "has a GPU's tensors and": lambda: on_gpu(3)[torch.tensor([0])],
    "_local_scalar_dense": lambda: on_gpu(3).sum().item(),
    "the host waits: aten.nonzero": lambda: on_gpu(3).nonzero(),
    r"a copy of \[3\] from cpu": lambda: torch.ones(3).to("cuda", non_blocking=True),  # not pinned
    r"a copy of \[4\] from cpu": lambda: torch.ones(4).pin_memory().to("cuda"),  # the host waits for it
    r"a copy of \[5\] from cuda": lambda: on_gpu(5).cpu(),
    r"a copy of \[2\] from cpu": lambda: torch.tensor([1, 2], device="cuda"),
    "pin_memory of a GPU's": lambda: on_gpu(3).pin_memory(),
    "index_copy_ of torch.float32 into": lambda: on_gpu(3).bfloat16().index_copy_(0, on_gpu(1).long(), on_gpu(1)),
    "the host waits: everything": lambda: torch.cuda.synchronize(),  # noqa: PLW0108 - the stand-in, not CUDA's own
}


@pytest.mark.parametrize(("message", "fault"), FAULTS.items(), ids=FAULTS.keys())
def test_operations_that_a_step_may_not_use_fail(fake_cuda: FakeCuda, message: str, fault: Any) -> None:
    with fake_cuda.never_waiting(), pytest.raises(FaultError, match=message):
        fault()


@pytest.mark.usefixtures("fake_cuda")
def test_two_streams_that_use_memory_in_no_order_fail() -> None:
    shared, other = on_gpu(3), torch.cuda.Stream()
    other.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(other):
        shared.add_(1)
    with pytest.raises(FaultError, match="default uses what stream 1 still works on"):
        shared.clone()
    torch.cuda.current_stream().wait_stream(other)
    shared.clone()
    with torch.cuda.stream(other), pytest.raises(FaultError, match="stream 1 uses what default still works on"):
        shared.add_(1)  # default still reads it


@pytest.mark.usefixtures("fake_cuda")
def test_a_capture_takes_no_host_tensor_and_no_foreign_stream() -> None:
    graph, x = torch.cuda.CUDAGraph(), on_gpu(3)
    pinned = torch.ones(3).pin_memory()
    with torch.cuda.graph(graph), pytest.raises(FaultError, match="within a recording"):
        x.copy_(pinned, non_blocking=True)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph), torch.cuda.stream(torch.cuda.Stream()), pytest.raises(FaultError, match="no part"):
        x + 1
