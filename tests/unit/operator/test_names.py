"""Names are DNS labels, do not collide, and never change."""

import re

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator import names

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
resource_names = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
region_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


def test_names_do_not_change() -> None:
    """Another rule would orphan every object that exists."""
    assert names.regional_name("narrator", "eu-central") == "narrator-eu-central-969cd"
    assert names.workload_name("narrator", "eu-central", "ondemand") == "narrator-eu-central-969cd-ondemand"
    assert names.lease_name("default", "narrator", "eu-central") == "narrator-eu-central-7ab8bd4c2ac045b5"
    assert names.registry_name("default", "narrator") == "model-default-narrator-b152f1274d8dc45d"


@given(resource_names, region_names)
def test_every_name_is_a_dns_label(name: str, region: str) -> None:
    made = (
        names.regional_name(name, region),
        names.workload_name(name, region, "ondemand"),
        names.lease_name("n" * 63, name, region),
        names.registry_name("n" * 63, name),
        names.network_policy_name(name),
    )
    for written in made:
        assert len(written) <= 63
        assert DNS_LABEL.fullmatch(written), written


def test_a_dash_between_the_parts_does_not_make_two_names_equal() -> None:
    assert names.regional_name("a-b", "c") != names.regional_name("a", "b-c")
    assert names.lease_name("x", "a-b", "c") != names.lease_name("x", "a", "b-c")
    assert names.lease_name("x", "a", "c") != names.lease_name("y", "a", "c")


def test_the_hash_survives_the_cut() -> None:
    long, longer = "a" * 40, "b" * 40
    assert names.regional_name(long, longer) != names.regional_name(long, longer[:-1] + "c")


def test_pools_of_one_region_do_not_select_each_others_pods() -> None:
    on_demand = names.pool_labels("default", "narrator", "eu", "ondemand")
    assert names.pod_selector("narrator", "eu", "ondemand").items() <= on_demand.items()
    assert not names.pod_selector("narrator", "eu", "spot").items() <= on_demand.items()
    assert names.region_selector("narrator", "eu").items() <= on_demand.items(), "a Service selects both"
