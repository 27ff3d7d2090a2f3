"""The teacher: hibari's parametric speech, re-excited so that its waveform is a function of the latent frame grid."""
