"""The trained voice as files in VoxCPM 1.5's published format."""
