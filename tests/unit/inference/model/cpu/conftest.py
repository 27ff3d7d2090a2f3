"""Kernels divide their work among threads, so here they have two, whatever other tests use."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def torch_threads() -> Iterator[None]:
    """Overrides the fixture of the other tests of the model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
