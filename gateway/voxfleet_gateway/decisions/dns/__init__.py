"""What a name resolves to: the region of a client's prefix, its scope, its records. Pure."""
