"""One gateway: what it knows, what it holds, the Leases it renews; by which gateway clients enter."""
