"""What a step is: pure values that every other room shares.

Resources      how much CPU, memory and GPU is asked for, or there is
StepLine       what stands behind ``%%step``; StepOption is one row of its table
StepRequest    one marked cell, ready to run
RunState, StepState    what runs and steps may be doing, with one table of legal changes
"""

from __future__ import annotations

from cellyard.model.resources import (
    Resources,
    format_duration,
    format_memory,
    parse_cpu,
    parse_duration,
    parse_gpu,
    parse_memory,
)
from cellyard.model.states import TERMINAL, RunState, StepState, check_move, is_terminal
from cellyard.model.step import StepRequest
from cellyard.model.step_line import StepLine, complete, expand, help_text, parse_step_line
from cellyard.model.step_options import OPTIONS, StepOption

__all__ = [
    "OPTIONS",
    "TERMINAL",
    "Resources",
    "RunState",
    "StepLine",
    "StepOption",
    "StepRequest",
    "StepState",
    "check_move",
    "complete",
    "expand",
    "format_duration",
    "format_memory",
    "help_text",
    "is_terminal",
    "parse_cpu",
    "parse_duration",
    "parse_gpu",
    "parse_memory",
    "parse_step_line",
]
