"""Enforcement of NetworkPolicies: pods that are network namespaces, and an engine that filters their connections."""
