"""What the gateway reads from Kubernetes, and the demand Leases, the only objects that it writes there."""
