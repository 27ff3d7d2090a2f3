"""How answers leave: in pieces of a format, to clients who may read slowly or go away."""
