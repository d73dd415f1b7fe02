"""How fast: figures and ratios of one run on this machine; see README.md."""
