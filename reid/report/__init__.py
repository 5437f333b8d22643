"""Metrics to something a person reads: tables for the terminal, one self-contained page, one picture."""

from reid.report.page import write_report
from reid.report.ranked import RankedImage, RankedQuery, choose_queries
from reid.report.ranking_picture import save_ranking_png
from reid.report.terminal import facts, metric_table

__all__ = [
    "RankedImage",
    "RankedQuery",
    "choose_queries",
    "facts",
    "metric_table",
    "save_ranking_png",
    "write_report",
]
