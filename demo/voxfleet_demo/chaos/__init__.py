"""Faults on a real cluster under steady load, and how every request ended: `make chaos`."""
