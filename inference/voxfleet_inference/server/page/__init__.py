"""The page at `/`: one file, which asks for nothing that this server does not have."""
