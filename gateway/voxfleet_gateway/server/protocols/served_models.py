"""The models that a caller may use, for protocols whose requests name a voice, or another vendor's model.

Knows: that a model has several names. Does not know: protocols.
"""

from voxfleet_protocols.translation import ServedModel

from voxfleet_gateway.decisions.caller import Caller
from voxfleet_gateway.dispatch.dispatcher import Dispatcher


def served_models(dispatcher: Dispatcher, caller: Caller) -> list[ServedModel]:
    """Return the caller's models, each with all its names, the bare ones first."""
    by_name = dispatcher.fleet.registry().by_name
    names: dict[str, list[str]] = {}
    for name in sorted(dispatcher.names(caller), key=lambda each: ("/" in each, each)):
        names.setdefault(by_name[name].full_name, []).append(name)
    return [ServedModel(each, tuple(by_name[full].voices)) for full, each in names.items()]
