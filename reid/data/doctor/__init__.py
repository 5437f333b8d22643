"""What is wrong with a data set, before a network is trained on it."""

from reid.data.doctor.examine import Examination, examine, quick
from reid.data.doctor.findings import Finding, Severity, exit_code, one_line, worst_first

__all__ = ["Examination", "Finding", "Severity", "examine", "exit_code", "one_line", "quick", "worst_first"]
