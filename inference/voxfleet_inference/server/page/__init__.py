"""The page at `/`: one file that loads nothing else, and sends requests to this server only."""
