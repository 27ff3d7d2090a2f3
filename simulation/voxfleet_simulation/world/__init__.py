"""The simulated world: events, servers, machines, and the shells around the product's own decisions."""
