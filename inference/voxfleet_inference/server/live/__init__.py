"""WS /v1/audio/speech/stream: a session receives text in pieces and sends speech meanwhile."""
