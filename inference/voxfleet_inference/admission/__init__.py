"""Who may come in, and when: bounds of the queue, API keys, tenants and what a client prefers."""
