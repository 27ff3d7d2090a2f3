"""`voxfleet-gateway dns`: the engine behind PowerDNS, a process of its own."""
