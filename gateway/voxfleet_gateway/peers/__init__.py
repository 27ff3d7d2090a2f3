"""Gateways of other regions: their identity (mutual TLS), what they report, and requests that are spilled to them."""
