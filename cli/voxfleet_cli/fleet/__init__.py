"""`voxfleet status` and `voxfleet explain`: the state of VoxTTSDeployments, from their status alone."""
