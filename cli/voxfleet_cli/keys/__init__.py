"""`voxfleet keys`: the gateways' API keys, in a Secret that holds their hashes only."""
