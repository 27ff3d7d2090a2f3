"""Voices: names to prompts, uploads, and where stored voices are kept (a folder, or another server)."""
