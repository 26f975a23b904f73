"""``python -m underlay``: what the launcher starts."""

import sys

from underlay.cli import main


def run() -> None:
    """Run the command line of this process and exit with its code."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
