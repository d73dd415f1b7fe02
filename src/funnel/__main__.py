"""`funnel`, which is the same as `python -m funnel`."""

import sys
from importlib import import_module


def main() -> None:
    """
    Run a command and exit.

    The rest is loaded here, since whoever presses Ctrl-C at once shall see no more of it than
    later: `funnel.cli` ends with the same status and an empty line.
    """
    try:
        import_module("funnel.cli").main()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
