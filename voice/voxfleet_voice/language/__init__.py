"""The language models, LocEnc and LocDiT of VoxCPM 1.5 in small, and what trains them."""
