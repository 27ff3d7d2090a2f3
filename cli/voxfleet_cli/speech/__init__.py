"""`voxfleet speak` and `voxfleet voices`: the speech API of a gateway, or of a single server."""
