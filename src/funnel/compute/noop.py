"""A backend that takes tasks and does nothing: they stay queued, for tests and measurements."""

from funnel.compute.idle import Settings, idle
from funnel.plugins import Plugin

PLUGIN = Plugin("Noop", Settings, idle(frozenset()))
