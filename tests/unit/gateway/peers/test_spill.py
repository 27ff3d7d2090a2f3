"""Requests of one region that another one serves: two gateways over loopback, with real certificates."""

from typing import Any

FULL = {"report": {"free_rows": 0, "running_sequences": 64, "waiting_sequences": 500}}


async def test_a_loaded_region_spills_and_its_client_reads_where_it_was_served(regions: Any, wire: Any) -> None:
    eu, _ = await regions.pair([wire.speaking(b"of eu")], [wire.speaking(b"of us")], eu=FULL)
    answer, end = await wire.send(eu.port, wire.post(extra=b"X-Request-Id: r-1\r\n"))
    assert end == "EOF"
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"of us")
    assert b"Voxfleet-Region: us\r\n" in answer
    assert b"Voxfleet-Route: spill-load\r\n" in answer
    assert b"X-Request-Id: r-1\r\n" in answer
    assert answer.lower().count(b"voxfleet-region") == 1
