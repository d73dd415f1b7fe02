"""Files that others may have touched: every step goes from an open directory to one name in it."""

from funnel.safepath.directory import entered, opened
from funnel.safepath.removal import remove_tree
from funnel.safepath.stamp import Stamp, stamp
from funnel.safepath.tree import Entry, Kind, Tree
from funnel.safepath.whole import copy, refuse_special, whole_file

__all__ = [
    "Entry",
    "Kind",
    "Stamp",
    "Tree",
    "copy",
    "entered",
    "opened",
    "refuse_special",
    "remove_tree",
    "stamp",
    "whole_file",
]
