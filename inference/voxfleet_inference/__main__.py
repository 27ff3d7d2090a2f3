"""`python -m voxfleet_inference`, the same as `voxfleet-inference`."""

from __future__ import annotations

import sys

from voxfleet_inference.engine.spawning import EARLY_ENGINE

INTERRUPTED = 130  # what shells return for SIGINT


def main() -> None:
    """Run the command line; the server's engine process imports its packages while this one imports its own."""
    if sys.argv[1:2] == ["serve"] and "--help" not in sys.argv:
        EARLY_ENGINE.spawn()
    try:
        from voxfleet_inference.commands.cli import app  # noqa: PLC0415 - after the engine process has started

        app(prog_name="voxfleet-inference")
    except KeyboardInterrupt:  # Ctrl-C during these imports, which take seconds; a server handles its own
        sys.exit(INTERRUPTED)
    finally:
        EARLY_ENGINE.end_unused()


if __name__ == "__main__":
    main()
