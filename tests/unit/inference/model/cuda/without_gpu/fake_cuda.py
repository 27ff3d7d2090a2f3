"""A fake GPU: PyTorch's FakeTensorMode creates tensors of device "cuda", and this module checks CUDA's rules on them.

Knows: devices, formats, shapes, streams and their order. A host tensor among GPU tensors, a wait of the host within a
step, memory that two streams use in no order, an operation without a CUDA kernel: each fails at its call.

Does not know, because FakeTensorMode computes with PyTorch's meta functions alone: values; whether a CUDA kernel takes
a number format; what cuBLAS, cuDNN and Triton choose, load or reject; how much memory there is; when CUDA's allocator
gives freed memory to another stream.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from fake_kernels import check_launch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

ATEN = torch.ops.aten
_to_numpy = Tensor.numpy
HOST_WAITS = {ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.masked_select.default, ATEN.equal.default}
TRANSFERS = {ATEN._to_copy.default, ATEN.copy_.default}
# Forward operations that PyTorch's documentation of use_deterministic_algorithms lists as nondeterministic.
UNORDERED = {"index_add", "scatter_add", "scatter_reduce", "index_reduce", "put", "bincount", "histc", "kthvalue"}


class FaultError(AssertionError):
    """An operation that would fail or give a wrong result on a GPU."""


class Clock:
    """A vector clock: the work of each stream that is certainly done, seen from one stream."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def join(self, other: "Clock") -> None:
        for stream, moment in other.seen.items():
            self.seen[stream] = max(moment, self.seen.get(stream, 0))


class FakeStream:
    """Stands in for torch.cuda.Stream."""

    def __init__(self, name: str, cuda: "FakeCuda") -> None:
        self.name, self.clock, self._cuda = name, Clock(), cuda

    def wait_stream(self, other: "FakeStream") -> None:
        self.clock.join(other.clock)

    def synchronize(self) -> None:
        self._cuda.host_waits("a stream", self.clock)


class FakeEvent:
    """Stands in for torch.cuda.Event."""

    def __init__(self, cuda: "FakeCuda", **_: Any) -> None:
        self._clock, self._cuda = Clock(), cuda

    def record(self) -> None:
        self._clock.join(self._cuda.current().clock)

    def synchronize(self) -> None:
        self._cuda.host_waits("an event", self._clock)

    def elapsed_time(self, _other: "FakeEvent") -> float:
        return 1.0


class FakeGraph:
    """Stands in for torch.cuda.CUDAGraph: a replay uses the storages of its capture, on the current stream."""

    def __init__(self, cuda: "FakeCuda") -> None:
        self._cuda, self.storages, self.replays = cuda, set[int](), 0

    def replay(self) -> None:
        if not self.storages:
            raise FaultError("a graph was replayed that recorded nothing")
        self.replays += 1
        self._cuda.use((), self.storages)


class WithoutDriver(FakeTensorMode):
    """Does not initialize a real device, whatever `is_available` returns."""

    avoid_device_init = True


class FakeCuda(TorchDispatchMode):
    """Checks every operation before FakeTensorMode runs it."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = WithoutDriver(allow_non_fake_inputs=True)
        self.host = Clock()
        self.streams: list[FakeStream] = []
        self.graphs: list[FakeGraph] = []
        self.operations: set[str] = set()
        self.launches: list[str] = []
        self.waits: list[str] = []  # of the host, where it may wait
        self._default = FakeStream("default", self)
        self._of_thread, self._moment = threading.local(), 0
        self._may_not_wait, self._recording = False, None
        self._pinned: list[Tensor] = []
        self._kept: list[Any] = []  # storages, kept alive so that no number is reused
        self._written: dict[int, tuple[str, int]] = {}
        self._read: dict[int, dict[str, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # it would import PyTorch's compiler first, which takes seconds

    @contextmanager
    def there(self) -> Iterator[None]:
        """Give this thread the GPU."""
        with self.fake, self:
            yield

    @contextmanager
    def never_waiting(self) -> Iterator[None]:
        """Allow the host to copy and launch, but not to wait."""
        before, self._may_not_wait = self._may_not_wait, True
        try:
            yield
        finally:
            self._may_not_wait = before

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function.namespace == "prim":  # a question about a tensor, no work
            return function(*args, **kwargs)
        with self:  # inference mode dispatches composite operations as one
            made = function.decompose(*args, **kwargs)
        if made is not NotImplemented:
            return made
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(each.is_cuda for each in given) or str(kwargs.get("device", "")).startswith("cuda"):
            self._check(function, given, args, kwargs)
        if function is ATEN._local_scalar_dense.default:
            return args[0].dtype.is_floating_point * 1.0 if args[0].is_cuda else function(*args)
        made = function(*args, **kwargs)
        written = [args[at] for at, each in enumerate(function._schema.arguments) if at < len(args) and _writes(each)]
        used = {_key(each) for each in given if each.is_cuda}
        results = [each for each in tree_leaves(made) if isinstance(each, Tensor) and each.is_cuda]
        new = {_key(each) for each in results} - used
        self._keep(results)
        changed = {_key(each) for each in tree_leaves(written) if isinstance(each, Tensor) and each.is_cuda}
        if new or (used and not getattr(function, "is_view", False)):
            self.use(used - changed, changed | new)
        return made

    def _check(self, function: Any, given: Sequence[Tensor], args: Any, kwargs: Any) -> None:
        self.operations.add(function._schema.name)
        if function in HOST_WAITS:
            self.host_waits(str(function), self.current().clock)
        if function in TRANSFERS:
            self._check_transfer(function, args, kwargs)
            return
        strangers = [tuple(each.shape) for each in given if not each.is_cuda and each.dim()]
        if strangers:
            raise FaultError(f"{function} has a GPU's tensors and the host's {strangers}")
        if function is ATEN.index_copy_.default and args[0].dtype != args[3].dtype:
            raise FaultError(f"index_copy_ of {args[3].dtype} into {args[0].dtype}")
        name, overload = function._schema.name, function._schema.overload_name
        full = f"{name}.{overload}" if overload else name
        if not torch._C._dispatch_has_computed_kernel_for_dispatch_key(full, "CUDA"):
            raise FaultError(f"{full} does not exist on a GPU")

    def _check_transfer(self, function: Any, args: Any, kwargs: Any) -> None:
        source = args[0] if function is ATEN._to_copy.default else args[1]
        target = torch.device(kwargs.get("device") or source.device) if source is args[0] else args[0].device
        if target.type == source.device.type or not source.dim():
            return
        what = f"a copy of {list(source.shape)} from {source.device} to {target}"
        if self._recording is not None:
            raise FaultError(f"{what} within a recording")
        is_pinned = target.type == "cpu" or any(source is each for each in self._pinned)
        if not (kwargs.get("non_blocking") and is_pinned):
            self.host_waits(what, self.current().clock)

    @property
    def is_recording(self) -> bool:
        return self._recording is not None

    def host_waits(self, what: str, clock: Clock) -> None:
        if self._may_not_wait or self._recording is not None:
            raise FaultError(f"the host waits: {what}")
        self.waits.append(what)
        self.host.join(clock)

    def use(self, read: Any, written: Any) -> None:
        """One piece of work on the current stream."""
        stream = self.current()
        self._moment += 1
        if self._recording is not None:
            self._recording.storages |= {*read, *written}
            if "recording" not in stream.clock.seen and stream is not self._recording_stream:
                raise FaultError(f"work on {stream.name} within a recording that it is no part of")
        for key in (*read, *written):
            self._check_order(stream, *self._written.get(key, (stream.name, 0)))
        for key in written:
            for name, moment in self._read.pop(key, {}).items():
                self._check_order(stream, name, moment)
            self._written[key] = stream.name, self._moment
        for key in read:
            self._read.setdefault(key, {})[stream.name] = self._moment
        stream.clock.seen[stream.name] = self._moment

    def _check_order(self, stream: FakeStream, name: str, moment: int) -> None:
        known = max(stream.clock.seen.get(name, 0), self.host.seen.get(name, 0))
        if name != stream.name and known < moment:
            raise FaultError(f"{stream.name} uses what {name} still works on: it has to wait for it")

    def _keep(self, tensors: Sequence[Tensor]) -> None:
        self._kept.extend(each.untyped_storage() for each in tensors)

    def launch(self, kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
        """Stands in for `launch.launch`."""
        read, written = check_launch(kernel, grid, arguments, constants)
        self.launches.append(kernel.fn.__name__)
        self.use({_key(each) for each in read} - {_key(each) for each in written}, {_key(each) for each in written})

    def current(self) -> FakeStream:
        return getattr(self._of_thread, "stream", self._default)

    def new_stream(self, *_: Any, **__: Any) -> FakeStream:
        self.streams.append(FakeStream(f"stream {len(self.streams) + 1}", self))
        return self.streams[-1]

    @contextmanager
    def on(self, stream: FakeStream | None) -> Iterator[None]:
        """Stands in for torch.cuda.stream."""
        before = self.current()
        self._of_thread.stream = stream or before
        try:
            yield
        finally:
            self._of_thread.stream = before

    def new_graph(self) -> FakeGraph:
        self.graphs.append(FakeGraph(self))
        return self.graphs[-1]

    @contextmanager
    def recording(self, graph: FakeGraph, *, stream: FakeStream | None = None, **_: Any) -> Iterator[None]:
        """Stands in for torch.cuda.graph; streams that joined the capture must be joined back at its end."""
        self.synchronize()
        self._recording, self._recording_stream = graph, stream or self.new_stream()
        self._recording_stream.clock.seen["recording"] = len(self.graphs)
        try:
            with self.on(self._recording_stream):
                yield
        finally:
            self._end_recording()
        self.synchronize()

    def _end_recording(self) -> None:
        self._recording = None
        for each in self.streams:
            is_part = each.clock.seen.pop("recording", None) is not None
            seen = self._recording_stream.clock.seen.get(each.name, 0)
            if is_part and each is not self._recording_stream and seen < each.clock.seen.get(each.name, 0):
                raise FaultError(f"{each.name} was not joined before the recording's end")

    def synchronize(self, *_: Any) -> None:
        everything = Clock()
        for each in (self._default, *self.streams):
            everything.join(each.clock)
        self.host_waits("everything", everything)

    def pin(self, values: Tensor) -> Tensor:
        """Stands in for Tensor.pin_memory."""
        if values.is_cuda:
            raise FaultError("pin_memory of a GPU's tensor")
        self._pinned.append(values.clone())
        return self._pinned[-1]

    def as_array(self, values: Tensor) -> Any:
        """Stands in for Tensor.numpy; returns zeros, as there are no values."""
        if values.is_cuda:
            raise FaultError("numpy of a GPU's tensor")
        with _disable_current_modes():
            return _to_numpy(torch.zeros(values.shape, dtype=values.dtype))

    @property
    def stand_ins(self) -> dict[str, Callable[..., Any]]:
        """Replacements of functions and classes of torch.cuda."""
        return {
            "Stream": self.new_stream,
            "Event": lambda **given: FakeEvent(self, **given),
            "CUDAGraph": self.new_graph,
            "graph": self.recording,
            "graph_pool_handle": lambda: (0, 0),
            "stream": self.on,
            "current_stream": lambda *_: self.current(),
            "synchronize": self.synchronize,
            "is_available": lambda: True,
            "mem_get_info": lambda *_: (10**9, 10**9),
        }


def _writes(argument: Any) -> bool:
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
