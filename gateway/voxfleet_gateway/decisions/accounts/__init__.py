"""API keys, the tenants' limits, and what a response's bytes say about its audio; pure."""
