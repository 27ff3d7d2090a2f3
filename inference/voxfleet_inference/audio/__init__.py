"""Sound: containers, codecs and rates, and the autoencoder between samples and latents."""
