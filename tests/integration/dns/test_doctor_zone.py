"""What `voxfleet doctor` observes of a zone that the engine and PowerDNS serve: nothing that its check complains of."""

import dns.resolver
import yaml
from voxfleet_cli.doctor.checks.zones import server_problem
from voxfleet_cli.doctor.zone_queries import DnsClient, zone_of
from voxfleet_testbed.dns.processes import LOOPBACK, DnsServers


def test_the_served_zone_is_as_its_file_says(servers: DnsServers) -> None:
    file = yaml.safe_load(servers.zone_file.read_text())
    for server in file["nameServers"]:
        server["addresses"] = [LOOPBACK]
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [LOOPBACK], servers.port, 10
    region = {"name": "eu", "addresses": [each for region in file["regions"] for each in region["addresses"]]}
    resource = {"metadata": {"namespace": "voices", "name": "narrator"}, "spec": {"regions": [region]}}
    zone = zone_of(file, [resource], DnsClient(resolver, servers.port))
    assert zone.servers
    assert [server_problem(zone, each) for each in zone.servers] == [""] * len(zone.servers)
    assert zone.names[0].addresses
    assert zone.names[0].addresses <= zone.gateway_addresses
    assert zone.delegation.error  # these servers refuse what is above the zone
