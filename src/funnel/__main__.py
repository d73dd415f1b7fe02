"""`python -m funnel` is the same as `funnel`."""

from funnel.cli import main

main()
