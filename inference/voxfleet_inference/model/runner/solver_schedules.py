"""The solver's schedules of all numbers of timesteps asked for so far, with the guidance strength of a request.

Knows: how many evaluations a slot has room for. Does not know: slots, or the solver itself.
"""

import torch

from voxfleet_inference.model.layers.flow_matching import FlowMatching, Guidance
from voxfleet_inference.model.runner.decoding import DecodingSettings
from voxfleet_inference.model.runner.slot_states import MAX_EVALUATIONS


class SolverSchedules:
    """A cache by timesteps: time embeddings are computed once for each."""

    def __init__(self, solver: FlowMatching) -> None:
        self._solver = solver
        self._guidance: dict[int, Guidance] = {}  # by timesteps, with a guidance strength of 1

    def guidance(self, settings: DecodingSettings) -> Guidance:
        """Return the schedule of these settings.

        Raises:
            ValueError: more timesteps than a slot has room for.
        """
        if settings.inference_timesteps not in self._guidance:
            guidance = self._solver.guidance(settings.inference_timesteps, 1.0)
            if guidance.step_sizes.shape[1] > MAX_EVALUATIONS:
                raise ValueError(
                    f"inference_timesteps {settings.inference_timesteps}: at most {MAX_EVALUATIONS + 2} are supported"
                )
            self._guidance[settings.inference_timesteps] = guidance
        found = self._guidance[settings.inference_timesteps]
        return Guidance(found.time_vectors, found.step_sizes, torch.full_like(found.cfg_values, settings.cfg_value))
