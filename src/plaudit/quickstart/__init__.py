"""The first five minutes: from a reward to a better model, with a report."""

from plaudit.quickstart._data import quickstart_on
from plaudit.quickstart._report import write_report
from plaudit.quickstart._results import Fooling, Picking, Quickstart, Say, Scored, Trained
from plaudit.quickstart._world import FILES, SPEC, quickstart

__all__ = [
    "FILES",
    "SPEC",
    "Fooling",
    "Picking",
    "Quickstart",
    "Say",
    "Scored",
    "Trained",
    "quickstart",
    "quickstart_on",
    "write_report",
]
