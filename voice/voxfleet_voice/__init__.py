"""Training of the demo voice: a small checkpoint in VoxCPM 1.5's format that speaks English.

Knows: the teacher, the codec, the language models and the files of a checkpoint.
Does not know: the server that speaks with the result. No other part imports this one.
"""
