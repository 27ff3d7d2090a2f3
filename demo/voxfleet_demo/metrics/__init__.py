"""Prometheus beside the demo's cluster: it scrapes as docs/monitoring.md says, and the story is printed as figures."""
