"""The errors that the testbed raises, one tree.

TestbedError
├── UnavailableError   something on this machine is missing: root, a package, a Go version; says what to do
├── BuildError         a program or image did not build; carries the last lines of the builder's output
├── StartError         a process ended or stayed unready; carries the last lines of its log
└── ApiError           the API server refused a request; carries its status and message
"""

from __future__ import annotations


class TestbedError(Exception):
    """Anything that stops the testbed; its text is one clear line, then details."""

    __test__ = False  # the name looks like a test's to pytest


class UnavailableError(TestbedError):
    """This machine lacks something that the request needs."""


class BuildError(TestbedError):
    """A program or an image could not be built."""


class StartError(TestbedError):
    """A process of the cluster ended or did not become ready in time."""


class ApiError(TestbedError):
    """The API server answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answered {status}: {message}")
        self.status = status
