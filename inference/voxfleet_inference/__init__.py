"""The inference server: one GPU's (or CPU's) speech server for VoxCPM 1.5."""
