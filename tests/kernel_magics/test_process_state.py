"""The listed state of the process goes with a step and comes back, so a notebook means what it meant before."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home


def test_random_states_seeded_here_are_used_there_and_go_on_here(kernel: Kernel):
    expected = random.Random(5)
    numbers = [expected.random() for _ in range(3)]
    kernel.run("import random\nrandom.seed(5)\nfirst = random.random()")
    kernel.run("%%step\nsecond = random.random()")
    kernel.run("third = random.random()")
    assert kernel.look("[first, second, third]") == numbers


def test_numpys_too(kernel: Kernel):
    expected = np.random.RandomState(7)
    numbers = [float(expected.rand()) for _ in range(3)]
    kernel.run("import numpy as np\nnp.random.seed(7)\nfirst = float(np.random.rand())")
    kernel.run("%%step\nsecond = float(np.random.rand())")
    kernel.run("third = float(np.random.rand())")
    assert kernel.look("[first, second, third]") == numbers


def test_a_seed_set_in_a_step_holds_afterwards(kernel: Kernel):
    kernel.run("%%step\nimport random, numpy as np\nrandom.seed(3)\nnp.random.seed(4)")
    found = kernel.run("random.random() == __import__('random').Random(3).random(), float(np.random.rand())").result
    assert found == f"(True, {float(np.random.RandomState(4).rand())})"


def test_a_generator_object_goes_on_where_the_step_left_it(kernel: Kernel):
    expected = np.random.default_rng(1)
    numbers = [float(expected.random()) for _ in range(3)]
    kernel.run("rng = np.random.default_rng(1)\na = float(rng.random())")
    kernel.run("%%step\nb = float(rng.random())")
    kernel.run("c = float(rng.random())")
    assert kernel.look("[a, b, c]") == numbers


def test_the_working_directory_goes_and_comes_back(kernel: Kernel, tmp_path):
    (tmp_path / "below").mkdir()
    kernel.run(f"import os\nhome_folder = os.getcwd()\nos.chdir({str(tmp_path)!r})")
    kernel.run("%%step\nseen = os.getcwd()\nos.chdir('below')")
    assert kernel.look("[seen, os.getcwd()]") == [str(tmp_path), str(tmp_path / "below")]
    kernel.run("os.chdir(home_folder)")


def test_the_environment_goes_and_comes_back(kernel: Kernel):
    kernel.run("os.environ['FROM_KERNEL'] = 'k'")
    kernel.run("%%step\nseen = os.environ['FROM_KERNEL']\nos.environ['FROM_STEP'] = 's'\ndel os.environ['FROM_KERNEL']")
    assert kernel.look("[seen, os.environ.get('FROM_STEP'), os.environ.get('FROM_KERNEL')]") == ["k", "s", None]


def test_environment_set_beside_a_variable_of_the_steps_own_comes_back_alone(kernel: Kernel):
    kernel.run("%%step --env ONLY_HERE=1\nos.environ['STAYS'] = '2'")
    assert kernel.look("[os.environ.get('ONLY_HERE'), os.environ.get('STAYS')]") == [None, "2"]


def test_the_size_of_thread_pools_does_not_come_back(kernel: Kernel):
    before = kernel.look("os.environ.get('OMP_NUM_THREADS')")
    assert kernel.run("%%step --cpu 2\nos.environ['OMP_NUM_THREADS']").result == "'2'"
    assert kernel.look("os.environ.get('OMP_NUM_THREADS')") == before


def test_options_of_pandas_go_and_come_back(kernel: Kernel):
    kernel.run("import pandas as pd\npd.set_option('display.max_rows', 7)")
    kernel.run("%%step\nseen = pd.get_option('display.max_rows')\npd.set_option('display.precision', 2)")
    assert kernel.run("seen, pd.get_option('display.precision')").result == "(7, 2)"


def test_options_of_numpys_printing_go_and_come_back(kernel: Kernel):
    kernel.run("np.set_printoptions(precision=2)")
    assert kernel.run("%%step\nnp.array([1.23456])").result == "array([1.23])"
    kernel.run("%%step\nnp.set_printoptions(precision=4)")
    assert kernel.run("np.array([1.23456])").result == "array([1.2346])"


def test_parameters_of_matplotlib_go_and_come_back(kernel: Kernel):
    kernel.run("import matplotlib.pyplot as plt\nplt.rcParams['figure.figsize'] = (3.0, 2.0)")
    kernel.run("%%step\nseen = list(plt.rcParams['figure.figsize'])\nplt.rcParams['lines.linewidth'] = 7.5")
    assert kernel.run("seen, plt.rcParams['lines.linewidth']").result == "([3.0, 2.0], 7.5)"


def test_warning_filters_logging_and_decimals_go_and_come_back(kernel: Kernel):
    kernel.run("import warnings, logging, decimal\nwarnings.simplefilter('error', FutureWarning)")
    failed = kernel.fail("%%step\nwarnings.warn('soon', FutureWarning)")
    assert failed.error["ename"] == "FutureWarning"
    kernel.run(
        "%%step\nwarnings.simplefilter('ignore', FutureWarning)\nlogging.getLogger('mine').setLevel('DEBUG')\n"
        "decimal.getcontext().prec = 5"
    )
    kernel.run("warnings.warn('soon', FutureWarning)")
    assert kernel.run("logging.getLogger('mine').level, decimal.getcontext().prec").result == "(10, 5)"


def test_a_module_beside_the_notebook_can_be_imported_in_a_step(kernel: Kernel, tmp_path):
    (tmp_path / "beside.py").write_text("def told():\n    return 'beside'\nclass Thing:\n    pass\n")
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})")
    kernel.run("%%step\nimport beside\nanswer, thing = beside.told(), beside.Thing()")
    assert kernel.run("answer, isinstance(thing, beside.Thing)").result == "('beside', True)"


def test_nothing_else_passes_from_step_to_step(kernel: Kernel):
    kernel.run("%%step\nimport builtins, json\nvars(json)['left_behind'] = vars(builtins)['left_behind'] = 1")
    assert (
        kernel.run(
            "%%step\nimport builtins, json\nhasattr(json, 'left_behind') or hasattr(builtins, 'left_behind')"
        ).result
        == "False"
    )


def test_a_module_that_a_step_loads_anew_is_anew_here(kernel: Kernel, tmp_path: Path):
    module = tmp_path / "edited_here.py"
    module.write_text("def answer():\n    return 1\n")
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport edited_here")
    module.write_text("print('loaded')\ndef answer():\n    return 'another'\nclass Late: ...\n")
    ran = kernel.run("%%step\nimport importlib\nimportlib.reload(edited_here)\nlate = edited_here.Late()")
    assert "loaded" in ran.stdout
    ran = kernel.run("edited_here.answer(), isinstance(late, edited_here.Late)")
    assert ran.result == "('another', True)"
    assert ran.stdout == ""


def test_how_rich_shows_values_holds_in_steps_and_afterwards(kernel: Kernel):
    kernel.run("shown = {'a': [1, None]}")
    kernel.run("%%step\nfrom rich import pretty\npretty.install()")
    plain = kernel.run("shown")
    step = kernel.run("%%step\nshown")
    assert "\x1b[" in plain.result
    assert step.result == plain.result
    assert [each["data"] for each in step.outputs] == [each["data"] for each in plain.outputs]
    kernel.run("import IPython.core.formatters as of\nown = of.PlainTextFormatter(parent=get_ipython())")
    kernel.run("get_ipython().display_formatter.formatters['text/plain'] = own")
    assert kernel.run("1").result == "1"


def test_what_a_cell_sets_in_a_library_comes_with_what_it_needs(kernel: Kernel):
    kernel.run(
        "import statistics\nfactor = 3\n"
        "def scaled(values):\n    return factor * sum(values)\nstatistics.scaled = scaled"
    )
    assert kernel.run("%%step\nstatistics.scaled([1, 2])").result == "9"
    kernel.run("%%step\nstatistics.offset = 1\nfactor = 4")
    assert kernel.run("statistics.offset, statistics.scaled is scaled, statistics.scaled([1])").result == "(1, True, 4)"
    kernel.run("%%step\ndel statistics.offset")
    assert kernel.run("hasattr(statistics, 'offset')").result == "False"
    kernel.run("del statistics.scaled")
    assert kernel.run("%%step\nhasattr(statistics, 'scaled')").result == "False"


def test_pandas_imported_for_a_value_of_a_step_knows_that_it_is_in_a_notebook(home: Home):
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/imports.ipynb"}) as kernel:
        kernel.run("%%step makes\nimport pandas\nframe = pandas.DataFrame({'a': [1]})")
        kernel.run("frame")
        assert kernel.run("pandas.options.display.max_columns").result == "20"


def test_a_key_that_is_set_in_a_library_comes_and_is_kept_nowhere(kernel: Kernel, home: Home):
    kernel.run("import textwrap\ntextwrap.api_key = 'sk-never-kept'")
    assert kernel.run("%%step\nimport textwrap\ntextwrap.api_key[:8]").result == "'sk-never'"
    kernel.run("%%step\nimport textwrap\ntextwrap.auth_token = textwrap.api_key[::-1]")
    assert kernel.run("textwrap.auth_token[:9]").result == "'tpek-reve'"
    kept = [path for path in home.folder.rglob("*") if path.is_file() and b"never-kept" in path.read_bytes()]
    turned = [path for path in home.folder.rglob("*") if path.is_file() and b"tpek-reven" in path.read_bytes()]
    assert not kept + turned
