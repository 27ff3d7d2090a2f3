"""Requests to the API server, watches, and the state of observed objects as small frozen values."""
