"""What the DNS engine's data is made from: the zone file, gateways' reports, addresses, learned round trips, leaves.

Knows: where each is read or fetched, how often, what is kept when that fails.
Does not know: what the data is made into (engine.py), how names are answered from it.
"""
