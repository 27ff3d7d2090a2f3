"""The page at `/`, as scripts/web builds it from web/; it sends requests to this server only."""
