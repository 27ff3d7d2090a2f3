"""Objects that the API server sends, read into the small values that decisions know. Pure."""
