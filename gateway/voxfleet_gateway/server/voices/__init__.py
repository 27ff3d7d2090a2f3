"""/v1/audio/voices, and what gateways and pods ask of one another about voices."""
