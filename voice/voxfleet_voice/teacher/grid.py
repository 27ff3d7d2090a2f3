"""The time grid that teacher, codec and language models share.

A latent frame of 40 ms has three sub-frames of 13.3 ms. hibari's own frames last 12.5 ms; each becomes one sub-frame,
so the voice speaks 6.7 % slower than hibari.
"""

from typing import Final

SAMPLE_RATE_HZ: Final = 44_100
HOP_SAMPLES: Final = 1_764  # of one latent frame at 44.1 kHz
FRAMES_PER_SECOND: Final = SAMPLE_RATE_HZ // HOP_SAMPLES
SUBFRAMES: Final = 3  # of a latent frame
SUBFRAME_SAMPLES: Final = 320  # at 24 kHz
FRAME_SAMPLES: Final = SUBFRAMES * SUBFRAME_SAMPLES  # at 24 kHz
LAG_SUBFRAMES: Final = 2  # the audio trails its features, since the decoder is causal
