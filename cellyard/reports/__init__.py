"""What runs look like to a reader. Pure: what the engine says of runs as JSON goes in, JSON or HTML comes out.

compare_runs    what differs between two runs
run_report      one run as a page of HTML that stands alone
"""

from __future__ import annotations

from cellyard.reports.comparing import compare_runs
from cellyard.reports.page import run_report

__all__ = ["compare_runs", "run_report"]
