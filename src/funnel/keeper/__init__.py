"""Removes the containers of a worker that was killed: a small process that outlives it."""
