"""PowerDNS and VoxFleet's DNS engine on unprivileged loopback ports, for tests, the demo and benchmarks."""
