"""What must stay cheap to import, looked at in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("dask", "distributed", "sqlalchemy", "nbformat", "nbclient", "fastapi", "pydantic", "httpx", "rich")
DATA = ("numpy", "pandas", "pyarrow", "sklearn", "matplotlib")


def loaded_after(statement: str, *looked_for: str) -> list[str]:
    """Those of the modules looked for that a new process has loaded after the statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps([n for n in {looked_for!r} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, env=None
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_the_face_in_the_kernel_loads_nothing_heavy():
    assert loaded_after("import kernel_magics", *HEAVY, *DATA) == []


def test_the_package_loads_nothing_at_all():
    assert loaded_after("import cellyard", *HEAVY, *DATA, "IPython", "platformdirs", "asyncio") == []


@pytest.mark.parametrize("room", ["model", "analysis", "settings", "errors"])
def test_pure_rooms_load_nothing_heavy(room):
    assert loaded_after(f"import cellyard.{room}", *HEAVY, *DATA, "IPython", "cloudpickle", "asyncio") == []


def test_the_client_loads_no_server():
    assert loaded_after("import cellyard.service.client", *HEAVY, *DATA, "uvicorn", "asyncio") == []


def test_loading_the_extension_loads_nothing_heavy():
    program = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "import kernel_magics\n"
        "assert callable(kernel_magics.load_ipython_extension)\n"
        "import importlib, pkgutil\n"
        "for one in pkgutil.walk_packages(kernel_magics.__path__, 'kernel_magics.'):\n"
        "    importlib.import_module(one.name)\n"
    )
    assert loaded_after(program, "dask", "distributed", "sqlalchemy", "nbformat") == []


def test_running_a_notebook_makes_no_grammars():
    statement = (
        "from cellyard.cli.passing_over import IRI_GRAMMARS, passing_over\n"
        "with passing_over(IRI_GRAMMARS):\n"
        "    import cellyard.cli.notebook_kernel\n"
        "import nbformat\n"
        "nbformat.validate(nbformat.v4.new_notebook())\n"
    )
    assert loaded_after(statement, "nbformat", "jsonschema", "rfc3987_syntax", "lark") == ["nbformat", "jsonschema"]
