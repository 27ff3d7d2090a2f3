"""`voxfleet doctor`: what commonly goes wrong in an installation, and the way out."""
