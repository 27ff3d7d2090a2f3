"""The codec: features, latents, and the AudioVAE whose decoder turns latents into sound."""
