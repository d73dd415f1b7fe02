"""
A backend for workers that somebody else starts: a person, a script, a batch system.

Tasks stay queued until `funnel worker run --taskID` comes for one.
"""

from funnel.compute.idle import Settings, idle
from funnel.core.attempts import PARAMETERS
from funnel.plugins import Plugin

PLUGIN = Plugin("External", Settings, idle(PARAMETERS), remote=True)
