"""WS /v1/audio/speech/stream: text comes in pieces, speech goes out while more is written."""
