"""The shell of a step: IPython as in a notebook, its output as messages, no trace on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

_PRELUDE = """
import json, sys
from cellyard.worker.shell import make_shell
class Kept:
    def __init__(self): self.messages = []
    def show(self, message): self.messages.append(message)
kept = Kept()
shell = make_shell()
shell.connect(kept)
def run(source, **settings):
    shell.step_source = source
    for name, value in settings.items(): setattr(shell, name, value)
    return shell.run_cell(source, store_history=False)
def answer(value): sys.__stdout__.write(json.dumps(value)); sys.__stdout__.flush()
"""


def in_shell(source: str, folder: Path) -> Any:
    """What the source gives to ``answer``."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={"HOME": str(folder), "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": str(Path.cwd())},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_last_value_is_a_message_and_a_semicolon_hides_it(tmp_path: Path) -> None:
    got = in_shell("run('40 + 2'); run('7;'); run('None'); run('x = 5'); answer(kept.messages)", tmp_path)
    assert got == [{"type": "execute_result", "data": {"text/plain": "42"}, "metadata": {}}]


def test_the_value_itself_is_kept_for_the_notebook(tmp_path: Path) -> None:
    assert in_shell("run('[1, 2]'); answer(shell.displayhook.values)", tmp_path) == [[1, 2]]


def test_what_is_displayed_is_a_message_with_its_own_id(tmp_path: Path) -> None:
    got = in_shell(
        """
        run("from IPython.display import *\\nh = display(HTML('<b>1</b>'), display_id='a', metadata={'m': 1})\\n"
            "h.update(HTML('2'))\\nclear_output(wait=True)\\ndisplay({'text/plain': 'raw'}, raw=True)")
        answer(kept.messages)
        """,
        tmp_path,
    )
    assert [each["type"] for each in got] == ["display_data", "update_display_data", "clear_output", "display_data"]
    assert got[0]["data"]["text/html"] == "<b>1</b>"
    assert got[0]["transient"] == got[1]["transient"] == {"display_id": "a"}
    assert got[2]["wait"] is True
    assert got[3]["data"] == {"text/plain": "raw"}


def test_names_live_in_main_as_in_a_notebook(tmp_path: Path) -> None:
    got = in_shell(
        """
        run('class A: pass\\nx = A()')
        run('import __main__\\nsame = __main__.x is x')
        answer([shell.user_ns['A'].__module__, shell.user_ns['same'], shell.user_ns['__name__']])
        """,
        tmp_path,
    )
    assert got == ["__main__", True, "__main__"]


def test_magics_and_top_level_await_work(tmp_path: Path) -> None:
    got = in_shell(
        """
        result = [run('%precision 3'), run('import asyncio\\nawait asyncio.sleep(0)\\ny = 1'), run('z = %pwd')]
        answer([[r.success for r in result], shell.user_ns['y'], shell.user_ns['z']])
        """,
        tmp_path,
    )
    assert got == [[True, True, True], 1, str(tmp_path)]


def test_lines_of_a_traceback_count_from_the_cells_first(tmp_path: Path) -> None:
    got = in_shell(
        """
        r = run('x = 1\\n1 / 0', line_offset=1, colors='nocolor')
        line = r.error_in_exec.__traceback__.tb_next.tb_lineno
        s = run('x = 1\\ny = )', line_offset=1)
        answer([line, ''.join(shell.step_traceback) != '', s.error_before_exec.lineno])
        """,
        tmp_path,
    )
    assert got == [3, True, 3]


def test_nothing_is_printed_for_an_error(tmp_path: Path) -> None:
    assert in_shell("run('1 / 0'); answer([m for m in kept.messages])", tmp_path) == []


def test_no_history_no_settings_no_files(tmp_path: Path) -> None:
    profile = tmp_path / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "00-mine.py").write_text("surprise = 1")
    before = sorted(tmp_path.rglob("*.sqlite"))
    got = in_shell("run('1'); answer([shell.history_manager.enabled, 'surprise' in shell.user_ns])", tmp_path)
    assert got == [False, False]
    assert sorted(tmp_path.rglob("*.sqlite")) == before == []


def test_the_end_asked_for_by_exit_is_an_exit(tmp_path: Path) -> None:
    got = in_shell("r = run('exit()'); answer(type(r.error_in_exec).__name__)", tmp_path)
    assert got == "SystemExit"
