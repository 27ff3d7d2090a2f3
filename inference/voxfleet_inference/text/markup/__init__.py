"""Syntaxes that a text may contain and that are not spoken as they are written. Pure."""
