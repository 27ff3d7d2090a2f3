"""The HTTP side: what clients send, what they get, and what happens in between."""
