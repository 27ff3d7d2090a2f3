"""Errors of the simulator.

SimulationError
├── ScenarioError   a scenario or trace that cannot be used: the message names file, field and value
└── ArgumentError   a command line that cannot be used
"""


class SimulationError(Exception):
    """Base of all; the message is for the user."""


class ScenarioError(SimulationError):
    """A scenario or trace that cannot be used."""


class ArgumentError(SimulationError):
    """A command line that cannot be used."""
