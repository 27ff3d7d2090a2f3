"""Why some of the dashboards' queries have no data after the demo's story.

By the beginning of the query's place. `make demo METRICS=1` fails for a query that is empty and not here, and for one
that is here and has data.
"""

NO_PEERS = "both regions are in one cluster, so no gateway has a peer"
NO_GPU = "the quickstart serves on the CPU"

REASONS: dict[str, str] = {
    "fleet / Conditions that are not as expected": "all conditions are as expected",
    "fleet / Peers": NO_PEERS,
    "fleet / Spills": NO_PEERS,
    "server / GPU busy": NO_GPU,
    "server / GPU memory": NO_GPU,
}
