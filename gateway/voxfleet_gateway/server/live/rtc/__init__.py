"""WebRTC sessions: offers on their way to pods, and the accounts by which tenants' sessions are metered."""
