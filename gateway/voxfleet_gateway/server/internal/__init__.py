"""Port 9091: what the operator, the other gateways of the region and administrators ask of a gateway, by its token.

Knows: the load that is read, requests that are handed over, explanations of a decision.
Does not know: the API's clients and other regions, which have ports of their own (server/app.py, server/peers.py).
"""
