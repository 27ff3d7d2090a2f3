"""What the gateway decides, as pure functions and values: no clocks, no sockets, no Kubernetes."""
