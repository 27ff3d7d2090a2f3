"""Which of a WebSocket's subprotocols is the key, and which one is selected."""

import pytest
from voxfleet_protocols.subprotocols import offered_key, taken


@pytest.mark.parametrize(
    ("offered", "key", "selected"),
    [
        ([], "", None),
        (["realtime"], "", "realtime"),
        (["realtime", "openai-insecure-api-key.KEY"], "KEY", "realtime"),
        (["openai-insecure-api-key.KEY", "realtime"], "KEY", "realtime"),
        (["openai-insecure-api-key.KEY"], "KEY", None),
        (["token", "KEY"], "KEY", "token"),
        (["bearer", "KEY"], "KEY", "bearer"),
        (["token"], "", "token"),
        (["KEY", "token"], "", "token"),
        (["KEY"], "", None),
    ],
)
def test_a_key_is_read_and_never_selected(offered: list[str], key: str, selected: str | None) -> None:
    assert (offered_key(offered), taken(offered)) == (key, selected)
