"""Process state travels as a listed set: captured here, applied there, and only its changes come back."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cellyard.worker.process_state import portable

_READ = """
import json, pickle, sys
from cellyard.worker.process_state import Watcher, apply, capture, portable
state = pickle.loads(sys.stdin.buffer.read())
"""


def elsewhere(state: dict[str, Any], source: str) -> Any:
    """Run the source in a new process, which has ``state``; what it says as JSON on its last line."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _READ + textwrap.dedent(source)],
        input=pickle.dumps(state),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.decode().splitlines()[-1])


def delta(set_up: str, changes: str, names: str = "sorted(changed)") -> Any:
    """What a watcher tells after the changes."""
    source = (
        f"{set_up}\nw = Watcher(); w.apply(capture())\n{changes}\nchanged = w.changes()\nprint(json.dumps({names}))"
    )
    return elsewhere({}, source)


# section: (what is set in one process, what reads it in the other, as JSON)
SECTIONS: dict[str, tuple[str, str]] = {
    "folder": ("import os; os.chdir('/usr')", "__import__('os').getcwd()"),
    "environment": (
        "import os; os.environ['NEW'] = 'é\\n'; os.environ.pop('HOME', None)",
        "[__import__('os').environ.get(k) for k in ('NEW', 'HOME')]",
    ),
    "path": ("sys.path.insert(0, '/somewhere')", "sys.path[0]"),
    "random": ("import random; random.seed(5); random.random()", "__import__('random').random()"),
    "warnings": (
        "import warnings; warnings.filterwarnings('ignore', 'x+', UserWarning, lineno=3)",
        "str(__import__('warnings').filters[0])",
    ),
    "decimal": (
        "import decimal; decimal.getcontext().prec = 5",
        "str(__import__('decimal').Decimal(1) / 3)",
    ),
    "logging": (
        "import logging; logging.getLogger('a.b').setLevel(10); logging.getLogger().setLevel(40)",
        "[__import__('logging').getLogger(n).level for n in ('a.b', None)]",
    ),
    "numpy_random": (
        "import numpy; numpy.random.seed(5); numpy.random.rand(3)",
        "(__import__('numpy').random.rand(3) * 1e6).round().tolist()",
    ),
    "numpy_print": ("import numpy; numpy.set_printoptions(precision=2)", "str(__import__('numpy').array([0.123456]))"),
    "pandas": (
        "import pandas; pandas.set_option('display.max_rows', 7)",
        "__import__('pandas').get_option('display.max_rows')",
    ),
    "matplotlib": (
        "import matplotlib; matplotlib.rcParams['figure.figsize'] = [3, 2]",
        "list(__import__('matplotlib').rcParams['figure.figsize'])",
    ),
    "torch_random": (
        "import torch; torch.manual_seed(5); torch.rand(3)",
        "(__import__('torch').rand(3) * 1e6).round().tolist()",
    ),
    "torch": (
        "import torch; torch.set_default_dtype(torch.float64); torch.set_printoptions(precision=2);"
        "_ = torch.set_grad_enabled(False)",
        "[str(__import__('torch').ones(1) / 3), __import__('torch').is_grad_enabled()]",
    ),
}
NAMES = [pytest.param(each, marks=pytest.mark.long) if each.startswith("torch") else each for each in SECTIONS]


def made_here(sets: str, reads: str) -> tuple[dict[str, Any], Any, Any]:
    """In a new process: the state that it ends with, and what was read before and after."""
    source = f"""{_READ}
before = {reads}
{sets}
state = portable(capture())
pickle.dump((state, before, {reads}), sys.stdout.buffer)"""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, input=pickle.dumps({}), capture_output=True, timeout=60, check=True)
    state, before, after = pickle.loads(done.stdout)
    return state, before, after


@pytest.mark.parametrize("section", NAMES)
def test_a_section_set_here_holds_there(section: str) -> None:
    sets, reads = SECTIONS[section]
    state, before, after = made_here(sets, reads)
    assert section in state
    assert before != after, "the case must tell the two apart"
    assert elsewhere(state, f"apply(state)\nprint(json.dumps({reads}))") == after


@pytest.mark.parametrize("section", NAMES)
def test_only_what_was_changed_comes_back(section: str) -> None:
    sets, _ = SECTIONS[section]
    module = section.partition("_")[0]
    imports = f"import {module}" if module in {"numpy", "pandas", "matplotlib", "torch"} else "pass"
    imports += ".random" if section == "numpy_random" else ""
    assert delta(imports, f"before = w.changes()\n{sets}", "[sorted(before), sorted(changed)]") == [[], [section]]


def test_importing_a_library_changes_only_the_filters_that_it_sets_itself() -> None:
    assert set(delta("pass", "import numpy.random, decimal, logging, matplotlib")) <= {"warnings"}


def test_a_filter_for_a_library_waits_for_it_and_imports_nothing() -> None:
    sets = "import warnings, pandas.errors\nwarnings.simplefilter('ignore', pandas.errors.PerformanceWarning)"
    state, _, _ = made_here(sets, "0")
    source = """
        apply(state)
        assert 'pandas' not in sys.modules and 'numpy' not in sys.modules
        import warnings, pandas.errors
        warnings.warn('slow', pandas.errors.PerformanceWarning)
        print(json.dumps(sorted(capture(['warnings'])['warnings'], key=str) == sorted(state['warnings'], key=str)))
    """
    assert elsewhere(state, source) is True


def test_a_library_imported_later_gets_its_state_then_and_reports_no_change() -> None:
    state, _, _ = made_here("import numpy.random; numpy.random.seed(5)", "0")
    made = elsewhere({}, "import numpy.random; numpy.random.seed(5); print(json.dumps(numpy.random.rand()))")
    source = """
        assert 'numpy' not in sys.modules
        w = Watcher(); w.apply(state)
        assert 'numpy' not in sys.modules, 'applying a state imports nothing'
        assert 'numpy_random' not in w.changes()
        import numpy.random
        unchanged = w.changes()
        drawn = numpy.random.rand()
        print(json.dumps(['numpy_random' in unchanged, drawn, 'numpy_random' in w.changes()]))
    """
    assert elsewhere(state, source) == [False, made, True]


def test_the_size_of_a_step_is_not_the_notebooks_state() -> None:
    changes = "import os; os.environ['OMP_NUM_THREADS'] = '3'; os.environ['CUDA_VISIBLE_DEVICES'] = '1'"
    assert delta("pass", changes) == []
    kept = elsewhere(
        {"environment": {"OMP_NUM_THREADS": "99"}},
        "import os\nos.environ['OMP_NUM_THREADS'] = '2'\napply(state)\n"
        "print(json.dumps(os.environ['OMP_NUM_THREADS']))",
    )
    assert kept == "2"


def test_a_filter_for_a_class_of_the_notebook_does_not_hold_back_the_others() -> None:
    sets = "import warnings\nclass Mine(UserWarning): pass\nwarnings.simplefilter('ignore', Mine)\n"
    state, _, _ = made_here(sets + "warnings.simplefilter('error', BytesWarning)", "0")
    reads = "[f[0] for f in __import__('warnings').filters if f[2] is BytesWarning][:1]"
    assert elsewhere(state, f"apply(state)\nprint(json.dumps({reads}))") == ["error"]


def test_a_section_that_cannot_travel_stays_behind_alone() -> None:
    assert sorted(portable({"folder": "/", "path": [lambda: None]})) == ["folder"]


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    state = {"folder": str(tmp_path / "gone")}
    assert elsewhere(state, "import os; a = os.getcwd(); apply(state); print(json.dumps(os.getcwd() == a))") is True


def test_an_option_taken_back_is_taken_back_there() -> None:
    source = """
        import pandas, matplotlib
        pandas.set_option('display.max_rows', 7); matplotlib.rcParams['lines.linewidth'] = 9
        apply({'pandas': {}, 'matplotlib': {}})
        print(json.dumps([pandas.get_option('display.max_rows'), matplotlib.rcParams['lines.linewidth']]))
    """
    assert elsewhere({}, source) == [60, 1.5]
