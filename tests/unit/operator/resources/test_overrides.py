"""A region's own autoscaling overrides the common one field by field."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from voxfleet_operator.resources import Autoscaling, VoxTTSDeploymentSpec, effective_autoscaling

WORK = {"start": "0 8 * * *", "end": "0 18 * * *", "timeZone": "UTC", "minReplicas": 1}
own_values = st.fixed_dictionaries(
    {},
    optional={
        "minReplicas": st.integers(0, 9),
        "maxReplicas": st.integers(10, 20),
        "targetRequestsPerReplica": st.integers(1, 99),
        "scaleDownStabilizationSeconds": st.integers(0, 3600),
        "idleTimeoutSeconds": st.integers(5, 999),
        "wakeTimeoutSeconds": st.integers(5, 999),
        "maxUnknownSeconds": st.integers(0, 999),
        "schedules": st.sampled_from([[], [WORK]]),
    },
)


def test_every_field_can_be_overridden() -> None:
    region = VoxTTSDeploymentSpec.model_validate({"regions": [{"name": "eu", "autoscaling": {}}]}).regions[0]
    assert region.autoscaling is not None
    assert type(region.autoscaling).model_fields.keys() == Autoscaling.model_fields.keys()


@given(own_values, own_values)
def test_property_a_field_is_the_regions_own_else_the_common_one(common: dict[str, Any], own: dict[str, Any]) -> None:
    regions = [{"name": "eu", "autoscaling": own}, {"name": "us"}]
    spec = VoxTTSDeploymentSpec.model_validate({"autoscaling": common, "regions": regions})
    for region, values in zip(spec.regions, ({**common, **own}, common), strict=True):
        assert effective_autoscaling(spec, region) == Autoscaling.model_validate(values)
