"""`python -m voxfleet_inference`, the same as `voxfleet-inference`."""

from __future__ import annotations

from voxfleet_inference.commands.cli import app


def main() -> None:
    """Run the command line."""
    app(prog_name="voxfleet-inference")


if __name__ == "__main__":
    main()
