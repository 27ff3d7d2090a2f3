"""`voxfleet report`: a support bundle that has what is listed as harmless, and nothing else."""
