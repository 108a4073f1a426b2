"""The page about a prepared corpus, and its figures."""

from myxtts.data.report.write import write_report

__all__ = ["write_report"]
