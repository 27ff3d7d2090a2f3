"""Paths of the API with and without slashes at their end. Pure.

Knows: that some clients append one, and that a redirect would lose their bodies. Does not know: which paths there are.
"""


def canonical(path: str) -> str:
    """Return a request's path without slashes at its end, by which handlers, limits and metrics know it."""
    return path.rstrip("/") or "/"


def both(path: str) -> tuple[str, ...]:
    """Return the forms of a path under which a handler is registered, the longer one first: a name may hold slashes."""
    return (path,) if path == "/" else (path + "{slashes:/+}", path)
