"""``python -m underlay``: what the launcher starts."""

import gc
import sys

# A verb imports some 100,000 objects, all of which stay, and what is said of a hundred hosts is as
# many more. Looking for garbage among them over and over, and once more at the end, took a quarter
# of the processor time of a short verb, and found some hundreds of objects.
OBJECTS = 500_000


def run() -> None:
    """Run the command line of this process and exit with its code."""
    gc.set_threshold(OBJECTS)
    try:
        from underlay.cli import main

        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # while that was imported, or before it could say so itself
        sys.stderr.write("interrupted\n")
        code = 130
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    run()
