"""Every route and error code is on its page of the documentation."""

import re
from pathlib import Path

from voxfleet_gateway import telemetry
from voxfleet_gateway.decisions.routing import REFUSAL_BY_FILTER

DOCS = Path(__file__).parents[3] / "docs"


def test_every_route_and_code_is_documented() -> None:
    text = (DOCS / "gateway-responses.md").read_text()
    package = Path(telemetry.__file__).parent
    kinds = [each.read_text() for each in (package / "refusals").glob("[a-z]*.py")]
    codes = {code for kind in kinds for code in re.findall(r'"([a-z]+_[a-z_]+)"', kind)}
    routes = re.findall(r'"((?:hold|spill)-\w+|nearest|failover)"', (package / "decisions" / "routing.py").read_text())
    assert {"region_waking", "gateway_draining", "model_not_found"} <= codes
    assert {"spill-wake", "nearest"} <= {*routes}
    for name in (*REFUSAL_BY_FILTER, *REFUSAL_BY_FILTER.values(), *codes, *routes):
        assert f"`{name}`" in text, name
