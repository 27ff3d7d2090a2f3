"""The HTTP side: routes, middleware, handlers, the streaming proxy."""
