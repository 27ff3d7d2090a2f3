"""The solver: schedules, rows of different settings, classifier-free guidance."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from voxfleet_inference.model.layers.flow_matching import Guidance, Schedule, cfg_zero_star
from voxfleet_inference.model.voxcpm import VoxCPM

Model = Callable[[str, bool], VoxCPM]
CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_guidance_of_one_is_the_guided_velocity_itself() -> None:
    guided, unguided = normal(3, 4, 8), normal(3, 4, 8, seed=1)
    torch.testing.assert_close(cfg_zero_star(guided, unguided, torch.ones(3)), guided)


def test_guidance_leaves_parallel_velocities_alone() -> None:
    """If both velocities point the same way, CFG-zero* has nothing to amplify, however strong."""
    guided = normal(3, 4, 8)
    torch.testing.assert_close(cfg_zero_star(guided, 0.4 * guided, torch.tensor([1.0, 2.0, 9.0])), guided)


@torch.inference_mode()
def test_rows_of_different_settings_share_a_solver(ours: Model) -> None:
    """n = 2 beside n = 10, cfg 1.5 beside 3: the shorter schedule ends early with step size 0."""
    model = ours("1.5", True)
    solver = model.network.feat_decoder
    noise, condition, previous = (
        torch.randn(size, generator=torch.Generator().manual_seed(3)) for size in ((2, 4, 64), (2, 64), (2, 4, 64))
    )
    single = [solver.guidance(2, 1.5), solver.guidance(10, 3.0)]
    longest = max(guidance.step_sizes.shape[1] for guidance in single)
    together = Guidance(
        torch.cat([pad(guidance.time_vectors, longest) for guidance in single]),
        torch.cat([pad(guidance.step_sizes, longest) for guidance in single]),
        torch.cat([guidance.cfg_values for guidance in single]),
    )
    patches = solver(noise, condition, previous, together)
    for row, guidance in enumerate(single):
        here = slice(row, row + 1)
        torch.testing.assert_close(patches[here], solver(noise[here], condition[here], previous[here], guidance))


def pad(table: Tensor, evaluations: int) -> Tensor:
    """Zeros for the evaluations that a row does not make: [rows, evaluations, ...]."""
    missing = table.new_zeros(table.shape[0], evaluations - table.shape[1], *table.shape[2:])
    return torch.cat((table, missing), dim=1)


@pytest.mark.parametrize(("timesteps", "evaluations"), [(1, 0), (2, 1), (10, 9), (40, 39), (48, 47), (49, 47)])
def test_the_first_points_of_a_schedule_have_zero_velocity(timesteps: int, evaluations: int) -> None:
    schedule = Schedule.of(timesteps, CPU, torch.float32)
    assert schedule.times.shape == schedule.step_sizes.shape == (evaluations,)
