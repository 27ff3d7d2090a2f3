"""Copies of the voices agree in the end, whatever order changes arrive in; limits hold per tenant."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from voxfleet_gateway.errors import VoicesFullError
from voxfleet_gateway.voices.file_format import Check, VoiceHeader
from voxfleet_gateway.voices.index import DELETION_MICROSECONDS, Limits, VoiceIndex

ONE, TWO = (f"voice_{digit * 32}" for digit in "12")
HEADERS = st.builds(
    VoiceHeader,
    id=st.sampled_from([ONE, TWO]),
    tenant=st.sampled_from(["", "a", "b"]),
    version=st.integers(0, 5),
    is_deleted=st.booleans(),
    name=st.sampled_from(["x", "y"]),
    type=st.sampled_from(["audio_sample", "seed"]),
    check=st.sampled_from(Check),
)


@given(st.lists(HEADERS, max_size=5))
def test_any_order_of_changes_has_the_same_result(changes: list[VoiceHeader]) -> None:
    digests = set()
    for order in itertools.permutations(changes):
        index = VoiceIndex()
        for header in order:
            index.merge(header)
        digests.add(index.digest())
    assert len(digests) == 1


@given(st.lists(HEADERS, max_size=8), st.lists(HEADERS, max_size=8))
def test_what_is_newer_and_merged_makes_two_gateways_equal(ours: list[VoiceHeader], theirs: list[VoiceHeader]) -> None:
    one, two = VoiceIndex(), VoiceIndex()
    for index, headers in ((one, ours), (two, theirs)):
        for header in headers:
            index.merge(header)
    for header in one.newer(two.headers.values()):
        assert one.merge(header)
    for header in two.newer(one.headers.values()):
        assert two.merge(header)
    assert one.digest() == two.digest()
    assert not one.newer(two.headers.values())


@given(st.lists(HEADERS, max_size=12))
def test_unchecked_are_the_recordings_that_no_server_has_decided_about(changes: list[VoiceHeader]) -> None:
    index = VoiceIndex()
    for header in changes:
        index.merge(header)
        pending = [each for each in index.headers.values() if each.is_unchecked]
        assert sorted(index.unchecked) == sorted(each.key for each in pending)
        assert all(not each.is_deleted and each.type == "audio_sample" for each in pending)


def test_a_design_is_found_by_tenant_seed_text_and_model() -> None:
    made = VoiceHeader(id=ONE, tenant="a", type="seed", seed=7, transcript="x", model="d/n", model_generation=2)
    index = VoiceIndex()
    index.merge(made)
    assert index.designed(made.model_copy(update={"id": TWO, "name": "other", "created_at": 9})) == made
    for change in ({"tenant": "b"}, {"seed": 8}, {"transcript": "y"}, {"model": "d/m"}, {"model_generation": 3}):
        assert index.designed(made.model_copy(update=change)) is None
    index.merge(made.model_copy(update={"version": 9, "is_deleted": True}))
    assert index.designed(made) is None


@given(st.lists(HEADERS, max_size=12), st.integers(0, 12), st.integers(1, 3))
def test_a_reader_of_changes_misses_none(changes: list[VoiceHeader], read_at: int, page: int) -> None:
    index, reader, number = VoiceIndex(), VoiceIndex(), 0
    for position, header in enumerate([*changes, *changes[:1]]):
        index.merge(header)
        if position % max(1, read_at) == 0 or position == len(changes):
            while number != index.last_change:
                changed, number = index.changed_after(number, page)
                assert 0 < len(changed) <= page
                for each in changed:
                    reader.merge(each)
            assert index.changed_after(number, page) == ([], index.last_change)
            assert reader.digest() == index.digest()
    assert {each.key for each in index.changed_after(0, 100)[0]} == {*index.headers}


@given(HEADERS, HEADERS)
def test_what_is_newer_has_the_greater_rank(one: VoiceHeader, other: VoiceHeader) -> None:
    assert one.is_newer_than(other) == (one.rank > other.rank)


@given(st.lists(HEADERS, max_size=8))
def test_a_digest_is_that_of_what_is_there_now(changes: list[VoiceHeader]) -> None:
    index, same = VoiceIndex(), VoiceIndex()
    for header in changes:
        index.merge(header)
    for header in sorted(index.headers.values(), key=lambda each: each.rank):
        same.merge(header)
    assert index.digest() == same.digest()
    for header in [*index.headers.values()]:
        index.forget(header)
        assert index.digest() != same.digest()
        del same.headers[header.key]
        other = VoiceIndex()
        for left in same.headers.values():
            other.merge(left)
        assert index.digest() == other.digest()
    assert index.digest() == VoiceIndex().digest()


@given(HEADERS, st.integers(0, 10))
def test_a_change_made_now_holds_whatever_the_clock_says(known: VoiceHeader, now: int) -> None:
    index = VoiceIndex()
    index.merge(known)
    version = index.next_version(known.key, now)
    assert index.merge(known.model_copy(update={"version": version, "is_deleted": not known.is_deleted}))


def test_a_tenant_uses_its_own_voices_and_shared_ones() -> None:
    index = VoiceIndex()
    for tenant, voice in (("", ONE), ("a", TWO)):
        index.merge(VoiceHeader(id=voice, tenant=tenant))
    assert [each.id for each in index.of_tenant("a")] == [ONE, TWO]
    assert [each.id for each in index.of_tenant("b")] == [ONE]
    assert index.find("b", ONE)
    assert not index.find("b", TWO)
    index.merge(VoiceHeader(id=TWO, tenant="a", version=1, is_deleted=True))
    assert not index.find("a", TWO)


@pytest.mark.parametrize(
    ("limits", "tenant", "is_full"),
    [
        (Limits(1, 100, 100), "a", True),
        (Limits(1, 100, 100), "b", False),
        (Limits(9, 15, 100), "a", True),
        (Limits(9, 15, 100), "b", False),
        (Limits(9, 100, 15), "b", True),
        (Limits(0, 100, 100), "b", True),
    ],
)
def test_limits_count_a_tenants_voices_and_all_bytes(limits: Limits, tenant: str, *, is_full: bool) -> None:
    index = VoiceIndex()
    index.merge(VoiceHeader(id=ONE, tenant="a", payload_bytes=10))
    index.merge(VoiceHeader(id=ONE, tenant="c", payload_bytes=90, is_deleted=True))
    if is_full:
        with pytest.raises(VoicesFullError):
            index.check_room((tenant, TWO), 10, limits)
    else:
        index.check_room((tenant, TWO), 10, limits)
        index.check_room(("a", ONE), 10, limits)  # replaces itself


def test_deletions_are_forgotten_after_their_time() -> None:
    index = VoiceIndex()
    index.merge(VoiceHeader(id=ONE, version=10, is_deleted=True))
    assert not index.outdated(DELETION_MICROSECONDS + 10)
    assert index.outdated(DELETION_MICROSECONDS + 11)
