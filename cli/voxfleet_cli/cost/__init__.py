"""`voxfleet cost`: what the GPUs of a month cost, and what was saved."""
