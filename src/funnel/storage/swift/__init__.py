"""OpenStack Swift, over its own interface."""
