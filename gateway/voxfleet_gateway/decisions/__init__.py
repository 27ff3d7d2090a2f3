"""The gateway's decisions as pure functions and values; they import no clock, socket, metrics or Kubernetes client."""
