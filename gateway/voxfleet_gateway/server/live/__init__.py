"""WS /v1/audio/speech/stream: a session with one pod, found, held and replaced like that of a request."""
