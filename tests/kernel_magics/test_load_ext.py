"""Loading the extension is light and quiet, and can be undone."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home

HEAVY = ["dask", "distributed", "sqlalchemy", "nbformat", "numpy", "pandas", "fastapi", "pydantic", "uvicorn", "httpx"]

IMPORTS = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before, began = set(sys.modules), time.perf_counter()
shell.run_line_magic("load_ext", "kernel_magics")
took, now = time.perf_counter() - began, set(sys.modules)
session = shell._cellyard_session
session.prepare()
print(json.dumps({"now": sorted(now - before), "later": sorted(set(sys.modules) - before), "took": took}))
"""


def test_it_imports_nothing_heavy_now_or_in_the_background_and_prints_nothing(home: Home):
    import os

    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        env=os.environ | home.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert not done.stderr
    assert not {name.partition(".")[0] for name in found["now"]}.intersection([*HEAVY, "blake3", "cloudpickle"])
    assert not {name.partition(".")[0] for name in found["later"]}.intersection(HEAVY)


def test_it_prints_nothing_in_a_kernel_and_two_loads_are_one(home: Home):
    with kernel_at(home.env, load=False) as kernel:
        assert not kernel.run("%load_ext kernel_magics").outputs
        first = kernel.look("id(get_ipython()._cellyard_session)")
        kernel.run("%load_ext kernel_magics")
        kernel.run("import kernel_magics\nkernel_magics.load_ipython_extension(get_ipython())")
        assert kernel.look("id(get_ipython()._cellyard_session)") == first
        hooks = "[c.__qualname__ for c in get_ipython().events.callbacks['pre_run_cell']].count('Session.before_cell')"
        assert kernel.look(hooks) == 1


def test_unloading_takes_the_magics_away_and_loading_brings_them_back(kernel: Kernel):
    kernel.run("%%step\nbig = list(range(100_000))")
    kernel.run("%unload_ext kernel_magics")
    assert (
        "step" in kernel.fail("%%step\n1").error["evalue"] if (ran := kernel.try_run("%%step\n1")).error else ran.stderr
    )
    assert "not found" in kernel.try_run("%steps").stderr
    hooks = "[c.__qualname__ for c in get_ipython().events.callbacks['pre_run_cell']].count('Session.before_cell')"
    assert kernel.look(hooks) == 0
    assert "--memory" not in kernel.complete("%%step --me")
    assert kernel.run("len(big)").result == "100000", "what was in the store is fetched all the same"
    kernel.run("%load_ext kernel_magics")
    assert kernel.run("%%step\n1 + 1").result == "2"


def test_the_other_name_loads_the_same_thing(home: Home):
    with kernel_at(home.env, load=False) as kernel:
        kernel.run("%load_ext cellyard")
        assert kernel.run("%%step\n1 + 1").result == "2"


def test_a_kernel_without_a_notebook_path_is_its_own_notebook(home: Home):
    with kernel_at(home.env) as one, kernel_at(home.env) as other:
        names = [k.look("get_ipython()._cellyard_session.identity.notebook") for k in (one, other)]
        assert len(set(names)) == 2
        assert all(name.startswith("kernel-") for name in names)


def test_vs_codes_name_of_the_notebook_is_used(home: Home):
    with kernel_at(home.env, load=False) as kernel:
        kernel.run("__vsc_ipynb_file__ = '/tmp/of vs code.ipynb'\n%load_ext kernel_magics")
        assert kernel.run("%steps notebook").result == "'/tmp/of vs code.ipynb'"
