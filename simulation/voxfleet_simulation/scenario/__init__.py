"""Scenarios: what a YAML file says, checked, and the arrivals and round trips that follow from it."""
