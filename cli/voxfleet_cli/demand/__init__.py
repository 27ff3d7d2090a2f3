"""`voxfleet wake` and `voxfleet sleep`: a region's demand Lease is renewed, or asked to end."""
