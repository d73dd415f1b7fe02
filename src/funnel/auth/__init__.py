"""Adapters of `ports.identity`: who is asking."""
