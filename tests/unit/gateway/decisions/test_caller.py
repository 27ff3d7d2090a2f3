"""A caller's rights."""

from voxfleet_gateway.decisions.caller import ANONYMOUS, Caller


def test_a_caller_may_use_the_models_of_its_key_and_without_a_list_every_one() -> None:
    assert ANONYMOUS.may_use("default/narrator")
    caller = Caller("acme", models=frozenset({"default/narrator"}))
    assert caller.may_use("default/narrator")
    assert not caller.may_use("other/narrator")
