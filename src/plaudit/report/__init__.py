"""Reports and plots: self-contained HTML for runs, comparisons and notebooks, with token and step heat maps."""

from plaudit.report._cases import case
from plaudit.report._diff_page import diff_page
from plaudit.report._heat import HeatScale, heat_text
from plaudit.report._html import Html, disclosure, long_text, paragraph
from plaudit.report._leaves import LeafShare, leaf_shares, leaf_shares_of, leaf_table
from plaudit.report._lines import Series, line_plot
from plaudit.report._page import Page
from plaudit.report._pieces import commands, reasons_table, tiles
from plaudit.report._points import histogram, scatter
from plaudit.report._render import heat_of, render
from plaudit.report._rows import bar_plot, interval_plot
from plaudit.report._run_page import run_page
from plaudit.report._table import fields, table

__all__ = [
    "HeatScale",
    "Html",
    "LeafShare",
    "Page",
    "Series",
    "bar_plot",
    "case",
    "commands",
    "diff_page",
    "disclosure",
    "fields",
    "heat_of",
    "heat_text",
    "histogram",
    "interval_plot",
    "leaf_shares",
    "leaf_shares_of",
    "leaf_table",
    "line_plot",
    "long_text",
    "paragraph",
    "reasons_table",
    "render",
    "run_page",
    "scatter",
    "table",
    "tiles",
]
