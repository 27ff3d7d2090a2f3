"""The benchmark on a data set of its form: what is left out, what is learned."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from voxfleet_gateway.decisions.client_location import distance_km
from voxfleet_gateway.regions import Location

BENCHMARK = Path(__file__).parents[4] / "benchmarks" / "rtt_learning"
CITIES = {
    "Here": ("Aland", Location(50.0, 8.0)),
    "Near Here": ("Aland", Location(49.0, 8.0)),
    "There": ("Bland", Location(40.0, -75.0)),
    "Between": ("Cland", Location(46.0, -28.0)),
    "Lost": ("Cland", Location(-41.0, 175.0)),
}
PINGED = CITIES | {"Lost": ("Cland", Location(46.0, -29.0))}
SLOW = {("Near Here", "Here"): 200.0}  # nearer to Here than to There, and slower
HEAD = "City,Distance,hidden,Average,hidden.1,% of SOLf/o,hidden.2,min,hidden.3,max,hidden.4,mdev,hidden.5,Last Checked"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    names = ("data_set", "traffic")
    before = {name: sys.modules.pop(name, None) for name in names}
    monkeypatch.syspath_prepend(BENCHMARK)
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)
        if (module := before[name]) is not None:
            sys.modules[name] = module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a folder in the form of the repository."""
    resources = tmp_path / "core/src/main/resources"
    for source, (_, at) in PINGED.items():
        folder = resources / "Data" / source.replace(" ", "+")
        folder.mkdir(parents=True)
        rows = [HEAD]
        for target, (country, place) in PINGED.items():
            km = distance_km(at, place)
            ms = SLOW.get((source, target), 5 + km / 100)
            rows.append(f'"{target} {country}, Earth",-,{km:.0f},-,{ms},-,-,-,{ms - 1},-,{ms},-,0.5,-')
        (folder / f"{source.replace(' ', '+')}Ping.csv").write_text("\n".join(rows))
    lines = [f"{name},{place.latitude},{place.longitude},1" for name, (_, place) in CITIES.items()]
    (resources / "cities.csv").write_text("\n".join(["city,Lat,Long,Population", *lines]))
    return tmp_path


def test_cities_that_are_listed_elsewhere_are_left_out(modules: dict[str, ModuleType], clone: Path) -> None:
    data = modules["data_set"].read(clone)
    assert data.misplaced == ("Lost",)
    assert data.cities["Near Here"].country == "Aland"
    assert data.pings["Near Here", "Here"].mean == pytest.approx(0.2)
    assert [city.name for city in data.clients(("Here", "There"))] == ["Between", "Near Here"]


def test_what_distance_gets_wrong_is_learned(modules: dict[str, ModuleType], clone: Path) -> None:
    data, traffic = modules["data_set"].read(clone), modules["traffic"]
    simulation = traffic.Simulation(
        data, ("Here", "There"), traffic.Traffic(requests_per_second=1.0, prefixes_per_city=5), "city"
    )
    distance, wrong = simulation.regret_of_cities(simulation.nearest)
    learned = simulation.run()
    assert wrong == 0.5
    assert learned.before == pytest.approx(distance)
    assert learned.after < learned.during < learned.before
    assert learned.after == pytest.approx(1.0)
    assert learned.wrong_share == 0


def test_a_missing_data_set_names_the_command(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="git clone"):
        modules["data_set"].read(tmp_path)
