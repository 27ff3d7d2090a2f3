"""Claims and storage classes that cannot be used, with the field, what was seen and the way out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.decisions.weights.claims import (
    SHARED_MODES,
    StorageClass,
    UsersClaim,
    claim_problem,
    class_problem,
)

FIELD = "cache.weights.claimName voice"
MODES = ("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany", "ReadOnlyMany")


def claim(*modes: str) -> UsersClaim:
    return UsersClaim("voice", FIELD, access_modes=modes)


def test_a_claim_for_one_node_and_several_servers() -> None:
    found = claim_problem(claim("ReadWriteOnce"), {"eu": 4})
    assert found is not None
    assert found[0] == "ClaimNotShared"
    for part in (FIELD, "ReadWriteOnce", "region eu 4", "use a claim with ReadWriteMany"):
        assert part in found[1]


def test_regions_share_the_claim_too() -> None:
    assert claim_problem(claim("ReadWriteOnce"), {"eu": 1}) is None
    found = claim_problem(claim("ReadWriteOnce"), {"eu": 1, "us": 1})
    assert found is not None
    assert "region eu 1, us 1" in found[1]


def test_a_claim_that_does_not_exist() -> None:
    assert claim_problem(UsersClaim("voice", FIELD, exists=False), {"eu": 1}) == (
        "ClaimNotBound",
        f"{FIELD}: there is no claim voice in this namespace; create it",
    )


@given(
    st.lists(st.sampled_from(MODES), max_size=4, unique=True),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 5), min_size=1),
)
def test_property_a_problem_is_reported_exactly_where_a_second_server_could_not_mount(
    modes: list[str], servers_of: dict[str, int]
) -> None:
    is_for_one = bool(modes) and not SHARED_MODES & set(modes)
    assert (claim_problem(claim(*modes), servers_of) is not None) == (is_for_one and sum(servers_of.values()) > 1)


FAST, SLOW = StorageClass("fast"), StorageClass("slow", is_default=True)


@pytest.mark.parametrize(
    ("wanted", "classes", "text"),
    [
        ("fast", (FAST, SLOW), ""),
        ("", (FAST, SLOW), ""),
        ("fats", (FAST, SLOW), "the cluster has no storage class fats; it has fast, slow (default)"),
        ("", (FAST,), "the cluster has no default storage class; it has fast: name one of them"),
        ("", (), "the cluster has no default storage class; it has none: install a provisioner, or use"),
        ("fast", (), "the cluster has no storage class fast; it has none: install a provisioner, or use"),
    ],
)
def test_a_class_that_does_not_exist_is_named_with_those_that_do(
    wanted: str, classes: tuple[StorageClass, ...], text: str
) -> None:
    found = class_problem(wanted, classes)
    assert found.startswith(text)
    assert bool(found) == bool(text)
