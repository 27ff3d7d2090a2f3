"""Browsers, as tests and screenshots drive them: pages are opened like a user's, what goes wrong in them is kept."""
