"""Admission of requests: limits, API keys, origins, tenants, slow connections and `Prefer`."""
