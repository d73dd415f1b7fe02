"""`funnel`, which is the same as `python -m funnel`."""

import os
import sys
from importlib import import_module


def main() -> None:
    """
    Run a command and exit.

    The rest is loaded here, since whoever presses Ctrl-C at once shall see no more of it than
    later: `funnel.cli` ends with the same status and an empty line.
    """
    try:
        _fill_streams()
        import_module("funnel.cli").main()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        sys.exit(130)


def _fill_streams() -> None:
    """
    With nothing, where the caller has closed them.

    Else a loop gets their numbers, and libuv aborts the process when it closes such a one.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


if __name__ == "__main__":
    main()
