"""Voices: the built-in one, fresh ones, recordings, and what is kept of them."""
