"""The errors that the testbed raises, one tree.

TestbedError
├── UnavailableError   this machine lacks root, a package or a Go version; the message has the way out
├── BuildError         a program or image did not build; the message has the last lines of the builder's output
├── StartError         a process ended or did not become ready in time; the message has the last lines of its log
└── ApiError           the API server rejected a request; the message has its status and reason
"""

from __future__ import annotations


class TestbedError(Exception):
    """The base of the testbed's errors; the first line of the message is a summary, details follow."""

    __test__ = False  # pytest would collect a class whose name begins with Test


class UnavailableError(TestbedError):
    """This machine lacks a prerequisite: root, a package or a Go version."""


class BuildError(TestbedError):
    """A program or an image could not be built."""


class StartError(TestbedError):
    """A process of the cluster ended, or did not become ready in time."""


class ApiError(TestbedError):
    """The API server answered with an error status, which `status` has."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answered {status}: {message}")
        self.status = status
