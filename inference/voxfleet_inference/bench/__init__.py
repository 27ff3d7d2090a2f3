"""`voxfleet-inference bench`: how a speech server feels to many listeners at once, whoever made the server."""
