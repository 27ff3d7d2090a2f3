"""Public traces: small files in their formats, and what is wrong with others."""

from pathlib import Path

import numpy as np
import pytest
from voxfleet_simulation.errors import ScenarioError
from voxfleet_simulation.scenario.demand import make_arrivals
from voxfleet_simulation.scenario.fields import Trace
from voxfleet_simulation.scenario.traces import clock_seconds, read_trace

MINUTES = ",".join(str(minute) for minute in range(1, 1441))
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
FILES = {
    "azure_llm_2023": (
        f"{AZURE}2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
        [0, 4.314579],
    ),
    "azure_llm_2024": (
        f"{AZURE}2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,9,5\n",
        [0, 0.99007],
    ),
    "burstgpt": (
        f"{BURST}5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1,2,3,API log\n118,GPT-4,417,276,693,API log\n",
        [0, 40, 113],
    ),
    "azure_functions_2021": ("app,func,end_timestamp,duration\na,f,10.0,1.0\na,g,9.5,0.1\n", [0, 0.4]),
    "azure_functions_2019": (
        f"HashOwner,HashApp,HashFunction,Trigger,{MINUTES}\no,a,f,http,0,2{',0' * 1438}\n",
        [0, 30],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_format_is_read(name: str, tmp_path: Path) -> None:
    text, expected = FILES[name]
    (tmp_path / "trace.csv").write_text(text)
    times = read_trace(tmp_path / "trace.csv", Trace(file="trace.csv"), 1000.0)
    assert times - 1000 == pytest.approx(expected)


def test_speed_and_bound_are_applied_and_countries_drawn(tmp_path: Path, make: object) -> None:
    rows = "".join(f"{second},ChatGPT,1,1,2,x\n" for second in range(1000))
    (tmp_path / "burst.csv").write_text(f"{BURST}{rows}")
    place = {"latitude": 1, "longitude": 1}
    countries = [{"name": "DE", "location": place, "share": 3}, {"name": "US", "location": place, "share": 1}]
    demand = {"countries": countries, "trace": {"file": "burst.csv", "speed": 2, "mostRequests": 800}}
    scenario = make(demand=demand)  # type: ignore[operator]
    arrivals = make_arrivals(scenario, tmp_path)
    assert len(arrivals) == 800
    assert arrivals.times[-1] - arrivals.times[0] == pytest.approx(799 / 2)
    assert np.mean(arrivals.countries == 0) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n", "has the columns a, b; known formats have"),
        ("", "none"),
        ("Timestamp,Model,Request tokens\nsoon,x,1\n", "line 2: 'soon,x,1' is no row of BurstGPT"),
        ("Timestamp,Model,Request tokens\n", "has no rows"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(ScenarioError, match=expected):
        read_trace(tmp_path / "trace.csv", Trace(file="trace.csv"), 0.0)


def test_a_time_without_a_zone_is_utc() -> None:
    assert clock_seconds("2023-11-16 18:15:46") == clock_seconds("2023-11-16 18:15:46.0000000+00:00")
