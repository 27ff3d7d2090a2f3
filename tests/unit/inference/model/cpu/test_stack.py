"""A stack of layers in C equals the plain layers with the same weights, and its rows are independent to the bit.

In bfloat16 and int8, for every variant of the kernels that this CPU can run.
"""

import ctypes
from collections.abc import Callable, Iterator
from itertools import pairwise
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from voxfleet_inference.model.cpu import stack as stack_module
from voxfleet_inference.model.cpu.compile import best_variant, library_file, variants
from voxfleet_inference.model.cpu.matrices import Int8Matrix
from voxfleet_inference.model.cpu.packing import compute_dtype_of
from voxfleet_inference.model.cpu.stack import FusedTransformer, has_whole_panels, panels
from voxfleet_inference.model.errors import UnsupportedFormatError
from voxfleet_inference.model.layers.kv_cache import AttentionMetadata, KvCache
from voxfleet_inference.model.layers.linear import Linear
from voxfleet_inference.model.layers.transformer import RotaryTable, Transformer
from voxfleet_inference.model.shapes import RotaryShape, TransformerShape

ROTARY = RotaryShape(head_dim=16, theta=10_000.0, factors=(1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5), amplitude=1.1)
SHAPE = TransformerShape(
    layers=3, hidden=48, ffn=80, heads=4, kv_heads=2, head_dim=16, norm_epsilon=1e-5, residual_scale=0.7,
    vocabulary=0, rotary=ROTARY,
)  # fmt: skip
POSITIONS = 200
CPU = torch.device("cpu")
# A sum taken in another order may round an activation to the next byte, 1/127 of its row's largest, or to the next
# bfloat16, 1/256 of itself, now and then.
TOLERANCE = 0.02
Draw = Callable[..., Tensor]
RUNNABLE = variants()[variants().index(best_variant()) :]


def plain_stack(dtype: torch.dtype) -> Transformer:
    arithmetic = compute_dtype_of(dtype)
    stack = Transformer(SHAPE, RotaryTable(ROTARY, POSITIONS, CPU, arithmetic))
    generator = torch.Generator().manual_seed(1)
    for weight in stack.parameters():
        weight.requires_grad_(requires_grad=False)
        drawn = torch.randn(weight.shape, generator=generator)
        weight.copy_(drawn / weight.shape[-1] ** 0.5 if weight.dim() > 1 else 1 + 0.2 * drawn)
    if dtype == torch.int8:
        for part in list(stack.modules()):
            if isinstance(part, Linear):
                part.pack(Int8Matrix.quantize)
    return stack.to(arithmetic)


@pytest.fixture(scope="module", params=[torch.int8, torch.bfloat16], ids=["int8", "bfloat16"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    chosen: torch.dtype = request.param
    return chosen


@pytest.fixture(scope="module", params=RUNNABLE, ids=lambda variant: variant.name)
def fast(request: pytest.FixtureRequest, dtype: torch.dtype) -> Iterator[FusedTransformer]:
    library = ctypes.CDLL(str(library_file(request.param)))
    with patch.object(stack_module, "kernels", lambda: library), torch.inference_mode():
        yield FusedTransformer(plain_stack(dtype))


@pytest.fixture(scope="module")
def plain(dtype: torch.dtype) -> Transformer:
    return plain_stack(dtype)


@pytest.fixture(scope="module")
def drawn(dtype: torch.dtype) -> Draw:
    """Random numbers of a shape, for a seed."""
    return lambda *shape, seed=0: torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(
        compute_dtype_of(dtype)
    )


def cache(dtype: torch.dtype) -> KvCache:
    made = KvCache(SHAPE, POSITIONS, CPU, compute_dtype_of(dtype))
    made.keys.zero_()
    made.values.zero_()
    return made


def metadata(first: list[int], filled: list[int], tokens: int) -> AttentionMetadata:
    return AttentionMetadata.after(
        torch.tensor(first), torch.tensor(filled), tokens, tuple(zip(first, filled, strict=True))
    )


def assert_near(made: Tensor, expected: Tensor) -> None:
    assert made.dtype == expected.dtype
    assert (made - expected).norm() < TOLERANCE * expected.norm()


@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (2, 9), (1, 20), (3, 7), (7, 9), (1, 64)])
@torch.inference_mode()
def test_bidirectional_attention_without_a_cache(
    fast: FusedTransformer, plain: Transformer, drawn: Draw, rows: int, tokens: int
) -> None:
    x = drawn(rows, tokens, SHAPE.hidden)
    before = x.clone()
    assert_near(fast(x), plain(x))
    assert torch.equal(x, before)


@torch.inference_mode()
def test_rows_that_do_not_lie_side_by_side(fast: FusedTransformer, drawn: Draw) -> None:
    x = drawn(9, 2, SHAPE.hidden).transpose(0, 1)
    assert torch.equal(fast(x), fast(x.contiguous()))


@settings(max_examples=12, deadline=None)
@given(
    pieces=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=3), min_size=1, max_size=4).filter(
        lambda pieces: all(sum(each) <= 60 for each in pieces) and len({len(each) for each in pieces}) == 1
    )
)
@torch.inference_mode()
def test_prompts_in_any_chunks_then_a_batched_step(
    fast: FusedTransformer, plain: Transformer, drawn: Draw, dtype: torch.dtype, pieces: list[list[int]]
) -> None:
    """Each row prefills its own prompt into an extent of its own; then all take one step."""
    first, filled = [65 * row for row in range(len(pieces))][:3], [0] * min(len(pieces), 3)
    kv_caches = cache(dtype), cache(dtype)
    for row, sizes in enumerate(pieces[:3]):
        for size in sizes:
            x, here = drawn(1, size, SHAPE.hidden, seed=size), metadata([first[row]], [filled[row]], size)
            assert_near(fast(x, kv_caches[0], here), plain(x, kv_caches[1], here))
            filled[row] += size
    x, here = drawn(len(first), 1, SHAPE.hidden, seed=7), metadata(first, filled, 1)
    assert_near(fast(x, kv_caches[0], here), plain(x, kv_caches[1], here))
    assert_near(kv_caches[0].keys, kv_caches[1].keys)
    assert_near(kv_caches[0].values, kv_caches[1].values)
    untouched = torch.ones(POSITIONS, dtype=torch.bool)
    for start, length in zip(first, filled, strict=True):
        untouched[start : start + length + 1] = False
    assert not kv_caches[0].keys[:, untouched].any()


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 30), place=st.integers(0, 29), size=st.floats(1e-6, 1e6), threads=st.integers(1, 3))
@torch.inference_mode()
def test_rows_are_independent_to_the_bit(
    fast: FusedTransformer, drawn: Draw, rows: int, place: int, size: float, threads: int
) -> None:
    """Whatever else is in the batch, at every place in it, and with any number of threads."""
    place %= rows
    mine, others = drawn(1, 9, SHAPE.hidden, seed=2), size * drawn(rows, 9, SHAPE.hidden, seed=3)
    others[place] = mine[0]
    alone = fast(mine)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(fast(others)[place], alone[0])
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def test_a_long_context_is_batch_invariant_to_the_bit(fast: FusedTransformer, drawn: Draw, dtype: torch.dtype) -> None:
    kept, single = cache(dtype), cache(dtype)
    for row, length in enumerate((90, 3, 65)):
        fast(drawn(1, length, SHAPE.hidden, seed=row), kept, metadata([95 * row if row < 2 else 110], [0], length))
    fast(drawn(1, 90, SHAPE.hidden, seed=0), single, metadata([0], [0], 90))
    x = drawn(3, 1, SHAPE.hidden, seed=9)
    together = fast(x, kept, metadata([0, 95, 110], [90, 3, 65], 1))
    assert torch.equal(together[:1], fast(x[:1], single, metadata([0], [90], 1)))


@torch.inference_mode()
def test_not_a_number_stays_in_its_row(fast: FusedTransformer, drawn: Draw) -> None:
    x = drawn(3, 9, SHAPE.hidden)
    expected = fast(x)
    x[1] = float("nan")
    made = fast(x)
    assert torch.equal(made[0], expected[0])
    assert torch.equal(made[2], expected[2])
    assert made[1].isnan().all()


@torch.inference_mode()
def test_all_variants_sum_the_same_integers() -> None:
    """With the largest weights and activations, so that a sum that saturates would differ."""
    results = []
    for variant in RUNNABLE:
        library = ctypes.CDLL(str(library_file(variant)))
        stack = plain_stack(torch.int8)
        for part in stack.modules():
            if isinstance(part, Linear):
                assert isinstance(part.packed, Int8Matrix)
                part.packed.codes.fill_(127)
                part.packed.scales.fill_(1e-4)
        with patch.object(stack_module, "kernels", lambda library=library: library):
            results.append(FusedTransformer(stack)(torch.ones(1, 9, SHAPE.hidden)))
    assert torch.isfinite(results[0]).all()
    for one, other in pairwise(results):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_panels_hold_every_weight_once() -> None:
    codes = torch.arange(-64, 64, dtype=torch.int8).repeat(32).view(32, 128)
    made = panels(codes)  # [panels, inputs / 4, 16, 4]
    assert made.shape == (2, 32, 16, 4)
    assert made[1, 5, 3, 2] == int(codes[16 + 3, 4 * 5 + 2]) + 128


def test_a_matrix_of_unsupported_size_is_named() -> None:
    with pytest.raises(UnsupportedFormatError, match="24 x 64"):
        panels(torch.zeros(24, 64, dtype=torch.int8))


def test_a_stack_of_float32_matrices_is_rejected() -> None:
    with pytest.raises(TypeError, match="bfloat16"):
        FusedTransformer(plain_stack(torch.float32))


def test_has_whole_panels_checks_every_matrix() -> None:
    assert has_whole_panels(plain_stack(torch.bfloat16))
    with patch.object(stack_module, "COLUMNS", 32):
        assert not has_whole_panels(plain_stack(torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.int8, torch.bfloat16])
def test_the_plain_weights_are_freed(dtype: torch.dtype) -> None:
    plain = plain_stack(dtype)
    FusedTransformer(plain)
    assert not any(isinstance(part, Linear) for part in plain.modules())
