"""A plain terminal, where nothing but text can be shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.engines import Home

# Two empty lines end a cell that begins with a cell magic.
SCRIPT = """\
%load_ext kernel_magics
%%step made --cpu 1
import pandas as pd
print("printed")
table = pd.DataFrame({"a": range(40_000)})
table.head(2)


type(table).__name__
%%step
table["a"].sum() / 0.5


%steps
%%step --cpus 2
1


%%step failing
1/0


"survived"
exit
"""


@pytest.fixture(scope="module")
def shown(home: Home, tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that a terminal shows of a session."""
    script = tmp_path_factory.mktemp("terminal") / "typed.txt"
    script.write_text(SCRIPT)
    env = {**os.environ, **home.env, "IPYTHONDIR": str(script.parent), "TERM": "dumb", "NO_COLOR": "1"}
    with Path(script).open() as typed:
        done = subprocess.run(
            [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
            stdin=typed, env=env, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert not done.stderr, done.stderr
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


def test_prints_and_results_are_shown_as_text(shown: str):
    assert "printed" in shown
    assert re.search(r"Out\[2\]: *\n? +a\n0  0\n1  1", shown)
    assert "Out[3]: 'DataFrame'" in shown
    assert re.search(r"Out\[4\]: .*1599960000\.0", shown)


def test_the_table_of_steps_is_text(shown: str):
    assert re.search(r"^made +succeeded +1 CPU", shown, re.MULTILINE)


def test_errors_are_shown_and_the_session_goes_on(shown: str):
    assert "InvalidStepLine: there is no option --cpus. Did you mean --cpu?" in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert "'survived'" in shown
