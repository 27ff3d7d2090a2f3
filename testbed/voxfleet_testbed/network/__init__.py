"""Addresses, certificates and names of a local cluster."""
