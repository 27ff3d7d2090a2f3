"""`voxfleet route`: why a request goes to which region."""
