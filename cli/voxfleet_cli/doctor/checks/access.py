"""Checks of rights and keys: the operator's, the user's, and the API keys of gateways. Pure."""

from collections.abc import Iterator

from voxfleet_cli.doctor.facts import Facts, Finding, NotReadError, State
from voxfleet_cli.doctor.observed import Right, Unread

SHOWN = 4


def operator_rights(facts: Facts) -> Iterator[Finding]:
    """Whether the operator's account has what its chart grants."""
    rights = [right for right in facts.rights if right.subject == "operator"]
    if not rights:
        raise NotReadError("you may not ask for another account's rights (create subjectaccessreviews)")
    missing = [right for right in rights if not right.is_allowed]
    if missing:
        system = facts.system_namespace
        command = f"helm upgrade voxfleet charts/voxfleet -n {system} --reuse-values"
        yield Finding("operator's rights", State.FAILURE, f"it may not {listed(missing)}", command)
        return
    yield Finding("operator's rights", State.OK, f"{len(rights)} of {len(rights)} rights are granted")


def user_rights(facts: Facts) -> Iterator[Finding]:
    """Which commands this user may use."""
    rights = [right for right in facts.rights if right.subject == "you"]
    if not rights:
        raise NotReadError("the API server does not say (create selfsubjectaccessreviews)")
    missing: dict[str, list[Right]] = {}
    for right in rights:
        if not right.is_allowed:
            missing.setdefault(right.purpose, []).append(right)
    for purpose, lacking in missing.items():
        first = lacking[0]
        namespace = f" -n {first.namespace}" if first.namespace else " -A"
        command = f"kubectl auth can-i {first.verb} {first.resource}{namespace}"
        yield Finding("your rights", State.WARNING, f"you may not {listed(lacking)}, which {purpose} need", command)
    if not missing:
        yield Finding("your rights", State.OK, "you may use every command")


def listed(rights: list[Right]) -> str:
    """Return the first rights in kubectl's words."""
    shown = ", ".join(right.what for right in rights[:SHOWN])
    return shown + (f" and {len(rights) - SHOWN} more" if len(rights) > SHOWN else "")


def api_keys(facts: Facts) -> Iterator[Finding]:
    """Whether gateways need keys, and can use those that there are."""
    if isinstance(facts.mistaken_keys, Unread):
        if not facts.mistaken_keys.is_absent:
            raise NotReadError(facts.mistaken_keys.reason)
        text = "gateways need API keys, and their Secret does not exist: every request is refused"
        yield Finding("API keys", State.FAILURE, text, "voxfleet keys create --tenant TENANT --model '*'")
        return
    for key, state in facts.mistaken_keys.items():
        level = State.WARNING if state == "expired" else State.FAILURE
        yield Finding("API keys", level, f"key {key} is {state}", f"voxfleet keys revoke {key}")
    if facts.key_count:
        valid = facts.key_count - len(facts.mistaken_keys)
        yield Finding("API keys", State.OK, f"{valid} of {facts.key_count} keys are valid")
    else:
        text = "gateways need no API keys (gateway.keys.existingSecret is not set), or there are none"
        yield Finding("API keys", State.OK, text)
