"""Batched decoding: every sequence keeps its state in a slot, and any slots take a step together.

Read `model_runner` first (the order of a step), then `slot_states` (the state of a slot), `prefill` and `prompts`.
"""
