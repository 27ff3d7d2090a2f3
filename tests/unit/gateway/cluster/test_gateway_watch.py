"""Ready gateways are counted once each, whatever slices list them."""

from typing import Any

from voxfleet_gateway.cluster.gateway_watch import GatewayWatch


def slice_(name: str, *pods: tuple[str, dict[str, bool]]) -> dict[str, Any]:
    endpoints = [
        {"addresses": [f"10.0.0.{number}"], "targetRef": {"name": pod}, "conditions": conditions}
        for number, (pod, conditions) in enumerate(pods)
    ]
    return {"metadata": {"namespace": "s", "name": name}, "addressType": "IPv4", "endpoints": endpoints}


READY, UNREADY, LEAVING = {"ready": True}, {"ready": False}, {"ready": True, "terminating": True}


def test_gateways_are_counted_by_name() -> None:
    watch = GatewayWatch()
    watch.replaced([slice_("a", ("g1", READY), ("g2", UNREADY)), slice_("b", ("g1", READY), ("g3", READY))])
    assert watch.ready == 2
    watch.changed(slice_("a", ("g1", READY), ("g2", READY)))
    assert watch.ready == 3
    watch.changed(slice_("b", ("g3", LEAVING)))
    assert watch.ready == 2
    watch.deleted(slice_("a"))
    watch.deleted(slice_("unknown"))
    assert watch.ready == 0
