"""What the gateway reads from Kubernetes, and the one thing it writes there."""
