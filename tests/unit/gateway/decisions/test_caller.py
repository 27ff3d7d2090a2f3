"""A caller's rights."""

import pytest
from voxfleet_gateway.decisions.caller import ANONYMOUS, CATALOG, Access, Caller

ACME = Caller("acme", models=frozenset({"default/narrator", "tts-1", "team/*"}))


@pytest.mark.parametrize(
    ("caller", "full_name", "bare_names", "private", "public"),
    [
        (ANONYMOUS, "default/narrator", (), Access.ALLOWED, Access.ALLOWED),
        (ACME, "default/narrator", (), Access.ALLOWED, Access.ALLOWED),
        (ACME, "team/anything", (), Access.ALLOWED, Access.ALLOWED),
        (ACME, "other/tts-1", ("tts-1",), Access.ALLOWED, Access.ALLOWED),
        (ACME, "other/tts-1", (), Access.UNKNOWN, Access.FORBIDDEN),
        (ACME, "other/narrator", ("narrator",), Access.UNKNOWN, Access.FORBIDDEN),
        (ACME, "teams/anything", (), Access.UNKNOWN, Access.FORBIDDEN),
        (CATALOG, "default/narrator", ("narrator",), Access.UNKNOWN, Access.ALLOWED),
    ],
)
def test_what_a_caller_may_do_with_a_private_and_a_public_model(
    caller: Caller, full_name: str, bare_names: tuple[str, ...], private: Access, public: Access
) -> None:
    assert caller.access(full_name, bare_names) is private
    assert caller.access(full_name, bare_names, is_public=True) is public
