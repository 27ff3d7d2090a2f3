"""What a user writes: the models of a spec, their bounds, defaults and rules.

Read `spec` first: it has every field, and a module for what has several of its own.
"""
