"""Batch invariance: the result of a request does not depend on the other rows, on their order, or on prefill chunks.

32 requests of different texts, voices, schedules and guidance strengths are decoded alone and then together: admitted
in any order, prefilled in any chunks, parked at any step. In float32 results agree to 1e-4, except for quantizer codes
on the edge between two values, which may fall to either side; the batch then continues with the code of the run alone.
With `is_deterministic` the bits are the same.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from voxfleet_inference.model.checkpoint import load_checkpoint
from voxfleet_inference.model.runner.decoding import DecodingSettings, Prompt
from voxfleet_inference.model.runner.model_runner import ModelRunner, RunnerConfig
from voxfleet_inference.model.voxcpm import VoxCPM

TOLERANCE = 1e-4
EDGE = 1e-3  # in units of a code
STEPS = 10
ALIGNMENT_BYTES = 64
TEXTS = (
    "今天天气很好，我们去北京。",
    "Hello, this is a sentence.",
    "我们 want to test 人工智能!",
    "我",
    "a much longer text " * 5,
)

Model = Callable[[str, bool], VoxCPM]


@dataclass
class Request:
    """One sentence and the results of decoding it."""

    prompt: Prompt
    settings: DecodingSettings
    noise: Tensor  # [steps, patch_size, feat_dim]
    latents: list[Tensor] = field(default_factory=list)  # [patch_size, feat_dim] each
    samples: list[Tensor] = field(default_factory=list)
    verdicts: list[tuple[bool, bool]] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)  # tanh before rounding: one [latent] per audio position

    @property
    def positions(self) -> int:
        return self.prompt.positions + STEPS

    @property
    def is_done(self) -> bool:
        return len(self.latents) == STEPS or (bool(self.verdicts) and self.verdicts[-1][0])

    def fresh(self) -> "Request":
        return Request(self.prompt, self.settings, self.noise)


def requests_for(model: VoxCPM, count: int) -> list[Request]:
    rng, generator = random.Random(5), torch.Generator().manual_seed(5)  # noqa: S311
    shape = (model.config.patch_size, model.config.feat_dim)
    voices = [torch.randn(patches, *shape, generator=generator) for patches in (1, 3, 20)]
    return [
        Request(
            Prompt(model.tokenizer.encode(rng.choice(TEXTS)), rng.choice([None, *voices])),
            DecodingSettings(rng.choice([1, 2, 3, 10, 40]), rng.uniform(1, 6)),
            torch.randn(STEPS, *shape, generator=generator),
        )
        for _ in range(count)
    ]


class QuantizerProbe:
    """A ModelRunner whose quantizer records codes, and takes those of the run alone where both are on an edge."""

    def __init__(self, model: VoxCPM, config: RunnerConfig, *, aligns_codes: bool) -> None:
        self.runner, self.quantizer, self.aligns_codes = (
            ModelRunner(model, config),
            model.network.fsq_layer,
            aligns_codes,
        )
        self._rows: list[tuple[Request, Request | None]] = []

    @contextmanager
    def installed(self) -> Iterator[None]:
        with patch.object(self.quantizer, "forward", self._forward) if self.aligns_codes else nullcontext():
            yield

    def prefill(self, slot: int, positions: int, request: Request, alone: Request | None) -> None:
        self._rows = [(request, alone)]
        self.runner.prefill(slot, positions)

    def step(self, rows: Sequence[tuple[int, Request, Request | None]]) -> None:
        self._rows = [(request, alone) for _, request, alone in rows]
        noise = torch.stack([request.noise[len(request.latents)] for _, request, _ in rows])
        made = self.runner.step([slot for slot, _, _ in rows], noise)
        for row, (_, request, _) in enumerate(rows):
            request.latents.append(made.latents[row])
            request.samples.append(made.samples[row])
            request.verdicts.append((bool(made.is_last[row]), bool(made.next_is_last[row])))

    def _forward(self, x: Tensor) -> Tensor:
        """`[rows, audio positions, hidden]` to the same shape."""
        bounded = torch.tanh(self.quantizer.in_proj(x))
        codes = torch.round(bounded * self.quantizer.scale)
        for row, (request, alone) in enumerate(self._rows):
            for position in range(x.shape[1]):
                if alone is not None:
                    theirs = alone.codes[len(request.codes)] * self.quantizer.scale
                    flipped = codes[row, position] != torch.round(theirs)
                    assert (((theirs - torch.floor(theirs)) - 0.5).abs()[flipped] < EDGE).all()
                    codes[row, position] = torch.round(theirs)
                request.codes.append(bounded[row, position].clone())
        hidden: Tensor = self.quantizer.out_proj(codes / self.quantizer.scale)
        return hidden


def decode_alone(model: VoxCPM, request: Request, *, is_deterministic: bool = False) -> Request:
    config = RunnerConfig(1, request.positions, is_deterministic=is_deterministic)
    probe = QuantizerProbe(model, config, aligns_codes=not is_deterministic)
    probe.runner.admit(0, 0, request.positions, request.prompt, request.settings)
    decoded = request.fresh()
    with probe.installed():
        probe.prefill(0, request.prompt.positions, decoded, None)
        while not decoded.is_done:
            probe.step([(0, decoded, None)])
    return decoded


def decode_together(
    probe: QuantizerProbe, requests: Sequence[Request], references: Sequence[Request | None], seed: int
) -> list[Request]:
    """Admit requests in any order, prefill their prompts in any chunks, and step any of those that are ready."""
    rng = random.Random(seed)  # noqa: S311
    decoded = [request.fresh() for request in requests]
    firsts = torch.tensor([0, *(request.positions for request in requests)]).cumsum(0).tolist()
    waiting = list(range(len(requests)))
    rng.shuffle(waiting)
    unread: dict[int, int] = {}
    slots: dict[int, int] = {}
    with probe.installed():
        while waiting or not all(each.is_done for each in decoded):
            for number in [waiting.pop() for _ in range(min(len(waiting), rng.randint(1, 8)))]:
                slots[number], unread[number] = len(requests) - 1 - len(slots), requests[number].prompt.positions
                request = requests[number]
                place = (slots[number], firsts[number], request.positions)
                probe.runner.admit(*place, request.prompt, request.settings)
            for number, left in unread.items():
                piece = rng.randint(0, left)
                probe.prefill(slots[number], piece, decoded[number], references[number])
                unread[number] -= piece
            ready = [number for number in slots if not unread[number] and not decoded[number].is_done]
            chosen = rng.sample(ready, rng.randint(min(len(ready), 1), len(ready)))
            if chosen:
                probe.step([(slots[number], decoded[number], references[number]) for number in chosen])
    return decoded


def assert_close(mine: Request, theirs: Request) -> None:
    assert mine.verdicts == theirs.verdicts
    torch.testing.assert_close(torch.stack(mine.latents), torch.stack(theirs.latents), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(torch.stack(mine.samples), torch.stack(theirs.samples), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("version", "endless", "count"), [("tiny", False, 32), ("0.5b", True, 6)])
def test_a_request_alone_and_in_a_batch_is_the_same(version: str, endless: bool, count: int, ours: Model) -> None:  # noqa: FBT001
    model = ours(version, endless)
    requests = requests_for(model, count)
    alone = [decode_alone(model, request) for request in requests]
    config = RunnerConfig(count, sum(request.positions for request in requests), rows=count)
    for seed in (1, 2):
        together = decode_together(QuantizerProbe(model, config, aligns_codes=True), requests, alone, seed)
        for mine, theirs in zip(together, alone, strict=True):
            assert_close(mine, theirs)


def test_nan_in_one_row_stays_in_that_row(ours: Model) -> None:
    """Not-a-number in one row of a batch stays in that row."""
    model = ours("tiny", False)
    requests = requests_for(model, 3)
    alone = [decode_alone(model, request) for request in requests[:2]]
    config = RunnerConfig(3, sum(request.positions for request in requests), rows=3)
    requests[2].noise.fill_(float("nan"))
    together = decode_together(QuantizerProbe(model, config, aligns_codes=True), requests, [*alone, None], seed=3)
    assert together[2].latents[0].isnan().all()
    for mine, theirs in zip(together[:2], alone, strict=True):
        assert_close(mine, theirs)


def bits(request: Request) -> tuple[Tensor, Tensor, list[tuple[bool, bool]]]:
    return torch.stack(request.latents), torch.stack(request.samples), request.verdicts


def assert_same_bits(mine: Request, theirs: Request) -> None:
    latents, samples, verdicts = bits(mine)
    assert torch.equal(latents, bits(theirs)[0])
    assert torch.equal(samples, bits(theirs)[1])
    assert verdicts == bits(theirs)[2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_deterministic_decoding_gives_the_same_bits_in_any_batch(
    dtype: torch.dtype, checkpoint_folder: Callable[[str, bool], Path]
) -> None:
    model = load_checkpoint(checkpoint_folder("tiny", False), "cpu", dtype)
    requests = requests_for(model, 6)
    alone = [decode_alone(model, request, is_deterministic=True) for request in requests]
    config = RunnerConfig(6, sum(request.positions for request in requests), rows=6, is_deterministic=True)
    for seed in (1, 2):
        together = decode_together(QuantizerProbe(model, config, aligns_codes=False), requests, [None] * 6, seed)
        for mine, theirs in zip(together, alone, strict=True):
            assert_same_bits(mine, theirs)


def test_the_offset_of_a_weight_in_its_file_does_not_matter(
    checkpoint_folder: Callable[[str, bool], Path], tmp_path: Path
) -> None:
    source = checkpoint_folder("tiny", False)
    models, offsets = [], set()
    for padding in ("", "x" * 8, "x" * 16):
        folder = tmp_path / f"moved-{len(padding)}"
        folder.mkdir()
        for file in source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        save_file(load_file(source / "model.safetensors"), folder / "model.safetensors", {"format": f"pt{padding}"})
        model = load_checkpoint(folder)
        offsets |= {weight.data_ptr() % ALIGNMENT_BYTES for weight in model.network.parameters()}
        models.append(model)
    assert offsets == {0}
    request = requests_for(models[0], 1)[0]
    first, *others = (decode_alone(model, request, is_deterministic=True) for model in models)
    for other in others:
        assert_same_bits(other, first)
