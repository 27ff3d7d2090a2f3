"""The operator's hands and eyes in a cluster: requests, watches, and what was seen, as small frozen values."""
