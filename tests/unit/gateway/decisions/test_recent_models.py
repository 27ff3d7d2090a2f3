"""Each tenant's last model is known, of a bounded number of tenants."""

from voxfleet_gateway.decisions.recent_models import MAX_TENANTS, RecentModels


def test_the_last_model_that_may_still_be_used_or_the_only_one() -> None:
    recent = RecentModels()
    assert recent.expected("a", ["n/one"]) == "n/one"
    assert recent.expected("a", ["n/one", "n/two"]) is None
    recent.record("a", "n/two")
    recent.record("a", "n/one")
    assert recent.expected("a", ["n/one", "n/two"]) == "n/one"
    assert recent.expected("a", ["n/two", "n/three"]) is None
    assert recent.expected("b", ["n/one", "n/two"]) is None


def test_the_tenants_that_are_kept_are_bounded() -> None:
    recent = RecentModels()
    for number in range(2 * MAX_TENANTS):
        recent.record("always", "n/one")
        recent.record(str(number), "n/one")
    assert len(recent.by_tenant) <= MAX_TENANTS
    assert "always" in recent.by_tenant
