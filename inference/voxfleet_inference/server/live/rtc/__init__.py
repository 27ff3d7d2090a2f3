"""POST /v1/audio/speech/rtc: a session whose audio is an Opus track and whose messages are a data channel (WebRTC).

`peer`, `media_port` and `opus` import aiortc, aioice and PyAV; `routes` imports them with the first offer, in a thread.
"""
