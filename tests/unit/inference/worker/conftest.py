"""The checkpoints and models of the model's tests."""

from ..model.conftest import checkpoint_folder, ours, torch_threads  # noqa: TID252 - tests are no package

__all__ = ("checkpoint_folder", "ours", "torch_threads")
