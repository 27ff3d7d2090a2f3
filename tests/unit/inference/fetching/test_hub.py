"""What the hub learns of a server that downloads weights from it."""

from __future__ import annotations

from huggingface_hub.utils._headers import build_hf_headers
from voxfleet_inference.fetching.hub import HubStore


def test_the_client_names_itself_and_nothing_of_this_machine() -> None:
    HubStore("openbmb/VoxCPM1.5", "main")
    agent = build_hf_headers()["user-agent"]
    assert "hf_hub/" in agent
    assert "torch" not in agent
    assert "agent/" not in agent
