"""A cell marked with %%step does in the notebook what the same cell does without the mark."""

from __future__ import annotations

import re
import time

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home

# -- what it shows


def test_prints_appear_in_order_under_the_cell(kernel: Kernel):
    ran = kernel.run("%%step\nimport sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three', end='')")
    assert (ran.stdout, ran.stderr) == ("one\nthree", "two\n")


def test_it_runs_in_another_process_than_the_kernel(kernel: Kernel):
    kernel.run("%%step\nimport os\nwhere_it_ran = os.getpid()")
    assert kernel.look("where_it_ran") != kernel.pid


def test_prints_appear_while_it_runs(kernel: Kernel):
    id = kernel.begin("%%step\nimport time\nprint('early', flush=True)\ntime.sleep(0.7)\nprint('late')")
    seen: dict[str, float] = {}
    import time

    for message in kernel.messages(id):
        if message["msg_type"] == "stream":
            for word in message["content"]["text"].split():
                seen[word] = time.monotonic()
    assert seen["late"] - seen["early"] > 0.4


def test_each_of_several_prints_is_seen_at_once(kernel: Kernel):
    kernel.run("%%step warms_up\n1")
    id = kernel.begin(
        "%%step prints_in_twos\nimport time\nfor number in range(8):\n    print('at', time.time())\n"
        "    time.sleep(0.002)\n    print('at', time.time())\n    time.sleep(0.4)"
    )
    late = []
    for message in kernel.messages(id):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            said = message["content"]["text"].split()
            late += [time.time() - float(word) for word in said if word != "at"]
    assert len(late) == 16
    # A few may have met a machine that had much else to do.
    assert sum(each < 0.15 for each in late) >= 13, late


def test_displays_updates_and_html_come_as_their_own_messages(kernel: Kernel):
    ran = kernel.run(
        "%%step\nfrom IPython.display import display, HTML, clear_output\n"
        "handle = display(HTML('<b>bold</b>'), display_id='d1')\nprint('between')\n"
        "handle.update(HTML('<i>new</i>'))\nclear_output(wait=True)\ndel handle"
    )
    kinds = [each["type"] for each in ran.outputs]
    assert kinds == ["display_data", "stream", "update_display_data", "clear_output"]
    assert ran.displays[0]["data"]["text/html"] == "<b>bold</b>"
    assert ran.displays[0]["transient"]["display_id"] == "d1"
    assert ran.outputs[2]["data"]["text/html"] == "<i>new</i>"
    assert ran.outputs[3]["wait"] is True


def test_a_figure_appears_as_a_picture(kernel: Kernel):
    ran = kernel.run("%%step\nimport matplotlib.pyplot as plt\nplt.plot([1, 2, 4]);")
    assert [sorted(each["data"]) for each in ran.displays] == [["image/png", "text/plain"]]
    assert not ran.results


def test_the_last_expression_is_the_cells_result(kernel: Kernel):
    ran = kernel.run("%%step\nanswer = 6 * 7\nanswer")
    assert (ran.result, ran.results[0]["execution_count"]) == ("42", ran.number)
    assert kernel.run("_").result == "42"
    assert kernel.run(f"Out[{ran.number}], _{ran.number}").result == "(42, 42)"


def test_no_two_steps_show_estimators_of_one_id(kernel: Kernel):
    shown = [
        kernel.run(f"{mark}from sklearn.linear_model import LinearRegression\nLinearRegression()").results[0]
        for mark in ("", "%%step\n", "%%step\n")
    ]
    ids = [set(re.findall(r'id="(sk-[^"]*)"', each["data"]["text/html"])) for each in shown]
    assert all(ids)
    assert len(set.union(*ids)) == sum(map(len, ids))


def test_results_of_two_steps_are_the_last_two_underscores(kernel: Kernel):
    kernel.run("%%step\n'older'")
    kernel.run("%%step\n'newer'")
    assert kernel.run("(_, __)").result == "('newer', 'older')"


def test_the_last_result_can_be_used_in_a_step(kernel: Kernel):
    kernel.run("20 + 1")
    assert kernel.run("%%step\n_ * 2").result == "42"


def test_a_semicolon_keeps_the_result_to_itself(kernel: Kernel):
    assert not kernel.run("%%step\n6 * 7;").outputs
    assert not kernel.run("%%step\n6 * 7;  # with a word about it").outputs


def test_a_result_that_is_none_is_not_shown(kernel: Kernel):
    assert not kernel.run("%%step\nNone").outputs


def test_a_table_is_shown_as_html_and_text(kernel: Kernel):
    ran = kernel.run("%%step\nimport pandas as pd\npd.DataFrame({'a': [1, 2]})")
    assert "<table" in ran.results[0]["data"]["text/html"]
    assert "0  1" in ran.results[0]["data"]["text/plain"]


def test_the_users_own_formatter_repr_is_used(kernel: Kernel):
    kernel.run(
        "class Shown:\n    def _repr_html_(self):\n        return '<u>mine</u>'\n"
        "    def __repr__(self):\n        return 'mine'"
    )
    ran = kernel.run("%%step\nShown()")
    assert ran.results[0]["data"] == {"text/html": "<u>mine</u>", "text/plain": "mine"}


# -- values


def test_values_come_back_with_their_types(kernel: Kernel):
    kernel.run("%%step\nnumber, text, pair, table, many = 2.5, 'é', (1, [2]), {'k': {3}}, {1: b'x'}")
    assert kernel.look("(number, text, pair, table, many)") == (2.5, "é", (1, [2]), {"k": {3}}, {1: b"x"})


def test_values_of_plain_cells_go_with_the_step(kernel: Kernel):
    kernel.run("base = [1, 2, 3]\nfactor = 10")
    kernel.run("%%step\nscaled = [b * factor for b in base]")
    assert kernel.look("scaled") == [10, 20, 30]


def test_functions_bring_what_they_use(kernel: Kernel):
    kernel.run(
        "rate = 3\n"
        "def inner(x):\n    return x * rate\n"
        "def outer(x):\n    return inner(x) + 1\n"
        "def even(n):\n    return n == 0 or odd(n - 1)\n"
        "def odd(n):\n    return n != 0 and even(n - 1)"
    )
    kernel.run("%%step\ncalled = outer(5), even(10)")
    assert kernel.look("called") == (16, True)


def test_a_function_changed_in_the_notebook_is_the_new_one_in_the_next_step(kernel: Kernel):
    kernel.run("def version():\n    return 1")
    kernel.run("%%step\nfirst_version = version()")
    kernel.run("def version():\n    return 2")
    kernel.run("%%step\nsecond_version = version()")
    assert kernel.look("(first_version, second_version)") == (1, 2)


def test_functions_defined_in_a_step_use_the_notebooks_names(kernel: Kernel):
    kernel.run(
        "%%step\nlevel = 1\ndef read_level():\n    return level\ndef set_level(v):\n    global level\n    level = v"
    )
    assert kernel.run("level = 5\nread_level()").result == "5"
    assert kernel.run("set_level(9)\nlevel").result == "9"


def test_classes_are_one_class_on_both_sides(kernel: Kernel):
    kernel.run(
        "from dataclasses import dataclass\nfrom enum import Enum\n"
        "@dataclass\nclass Point:\n    x: int\n    y: int = 0\n"
        "class Colour(Enum):\n    RED = 1\n    BLUE = 2\n"
        "class Base:\n    count = 0\n"
        "class Child(Base):\n    def who(self):\n        return type(self).__name__\n"
        "given = Point(1)"
    )
    kernel.run(
        "%%step\nmade = Point(2, 3)\nwas_point = isinstance(given, Point)\nred = Colour.RED\n"
        "child = Child()\nwas_base = isinstance(child, Base)"
    )
    assert kernel.run("isinstance(made, Point), made == Point(2, 3), red is Colour.RED").result == "(True, True, True)"
    assert (
        kernel.run("was_point, was_base, isinstance(child, Base), type(child) is Child").result
        == "(True, True, True, True)"
    )
    assert kernel.run("child.who()").result == "'Child'"


def test_a_class_defined_in_a_step_is_the_notebooks_afterwards(kernel: Kernel):
    kernel.run(
        "%%step\nclass Born:\n    def __init__(self, v):\n        self.v = v\n"
        "    def __eq__(self, o):\n        return type(o) is Born and o.v == self.v\nborn = Born(4)"
    )
    assert kernel.run("isinstance(born, Born), type(born) is Born, Born(4) == born").result == "(True, True, True)"
    assert kernel.run("%%step\nisinstance(born, Born) and born == Born(4)").result == "True"


def test_imports_in_a_step_bind_names_in_the_kernel(kernel: Kernel):
    kernel.run("%%step\nimport json as js, collections.abc\nfrom math import pi as circle, floor")
    assert kernel.run("js.dumps([floor(circle)]), collections.abc.Mapping.__name__").result == "('[3]', 'Mapping')"


def test_a_deleted_name_is_gone(kernel: Kernel):
    kernel.run("doomed = 1")
    kernel.run("%%step\ndel doomed")
    assert kernel.look("'doomed' in globals()") is False
    assert kernel.fail("doomed").error["ename"] == "NameError"


# -- changes in place, and names that share an object


def test_changes_in_place_are_seen_in_the_kernel(kernel: Kernel):
    kernel.run(
        "import numpy as np, pandas as pd\nlst, dct, arr = [1], {'a': 1}, np.zeros(3)\n"
        "frm = pd.DataFrame({'a': [1, 2]})\nst = {1}"
    )
    kernel.run("%%step\nlst.append(2)\ndct['b'] = 2\narr[1] = 7\nfrm['b'] = [3, 4]\nst.add(2)")
    found = kernel.run("lst, dct, arr.tolist(), frm.to_dict('list'), st").result
    assert found == "([1, 2], {'a': 1, 'b': 2}, [0.0, 7.0, 0.0], {'a': [1, 2], 'b': [3, 4]}, {1, 2})"


def test_changes_made_by_a_called_function_are_seen(kernel: Kernel):
    kernel.run(
        "log = []\ndef record(x):\n    log.append(x)\nclass Counter_:\n    n = 0\n"
        "    def up(self):\n        self.n += 1\nctr = Counter_()"
    )
    kernel.run("%%step\nrecord('a')\nctr.up()\nctr.up()")
    assert kernel.look("(log, ctr.n)") == (["a"], 2)


def test_names_of_one_object_stay_names_of_one_object(kernel: Kernel):
    kernel.run("one = [1]\ntwo = one\nholder = {'it': one}")
    kernel.run("%%step\none.append(2)")
    assert kernel.look("(two, holder, one is two, holder['it'] is one)") == ([1, 2], {"it": [1, 2]}, True, True)


def test_an_alias_made_in_a_step_is_one_in_the_kernel(kernel: Kernel):
    kernel.run("origin = {'k': []}")
    kernel.run("%%step\nbranch = origin['k']\nbranch.append('leaf')")
    assert kernel.look("(origin, branch is origin['k'])") == ({"k": ["leaf"]}, True)


def test_a_view_of_an_array_stays_a_view(kernel: Kernel):
    kernel.run("import numpy as np\nwhole = np.arange(10)\npart = whole[2:5]")
    kernel.run("%%step\nwhole[3] = 99")
    assert kernel.run("part.tolist(), np.shares_memory(whole, part)").result == "([2, 99, 4], True)"


def test_what_a_step_does_not_touch_stays_the_very_object(kernel: Kernel):
    kernel.run("kept = [1, 2]\nkept_id = id(kept)\nread_only = {'a': 1}\nread_id = id(read_only)")
    kernel.run("%%step\nfrom_it = read_only['a']")
    assert kernel.look("(id(kept) == kept_id, id(read_only) == read_id)") == (True, True)


def test_a_failed_step_leaves_what_it_had_done(kernel: Kernel):
    kernel.run("so_far = []")
    kernel.fail("%%step\nso_far.append(1)\nhalf = 'done'\n1/0\nnever = 1")
    assert kernel.look("(so_far, half, 'never' in globals())") == ([1], "done", False)


# -- names that cannot come back


def test_what_cannot_come_back_leaves_a_name_that_says_why(kernel: Kernel):
    ran = kernel.run(
        "%%step\nimport tempfile\nopened = tempfile.TemporaryFile('w')\nstream = (i for i in range(3))\nfine = 1"
    )
    assert kernel.look("fine") == 1
    assert not ran.stderr
    for name, reason in (("opened", "open file"), ("stream", "generator")):
        failed = kernel.fail(f"next({name})")
        assert failed.error["ename"] == "CannotTravel"
        assert name in failed.error["evalue"]
        assert reason in failed.error["evalue"]
        assert reason in kernel.run(name).result


def test_such_a_name_may_be_bound_anew(kernel: Kernel):
    kernel.run("%%step\nbroken = (i for i in range(3))")
    kernel.run("broken = [1]")
    assert kernel.run("%%step\nbroken + [2]").result == "[1, 2]"


# -- the options of the line


def test_braces_in_the_line_are_expanded_and_both_forms_recorded(kernel: Kernel, home: Home, notebook: str):
    kernel.run("size = '300MiB'\nlabel = 'expanded'")
    kernel.run("%%step {label} --memory {size}\npass")
    step = next(s for s in home.client().notebook_steps(notebook) if s["name"] == "expanded")
    assert step["resources"]["memory"] == 300 << 20
    assert step["line"].strip() == "expanded --memory 300MiB"


def test_dollar_signs_and_braces_in_the_body_are_left_alone(kernel: Kernel):
    kernel.run("x1 = 5")
    assert kernel.run("%%step\nbraces = '{x1} $x1'\nbraces").result == "'{x1} $x1'"


def test_only_the_names_of_in_go_and_only_those_of_out_come(kernel: Kernel):
    kernel.run("alpha, beta = 1, 2")
    failed = kernel.fail("%%step --in alpha\nalpha + beta")
    assert failed.error["ename"] == "NameError"
    kernel.run("%%step --in alpha --out wanted\nwanted, unwanted = alpha + 1, 5")
    assert kernel.look("(wanted, 'unwanted' in globals())") == (2, False)


def test_env_holds_for_the_step_alone(kernel: Kernel):
    assert kernel.run("%%step --env MODE=fast\nimport os\nos.environ['MODE']").result == "'fast'"
    assert kernel.look("__import__('os').environ.get('MODE')") is None


def test_a_step_that_takes_too_long_is_stopped(kernel: Kernel):
    ran = kernel.fail("%%step slow --timeout 1s\nimport time\ntime.sleep(30)")
    assert ran.error["ename"] == "StepTimeout"
    assert "time.sleep(30)" in ran.words, "where it was when it was stopped"
    assert kernel.look("type(__import__('sys').last_value).__module__") == "cellyard.errors"
    assert ran.seconds < 5


def test_a_failing_step_is_tried_again(kernel: Kernel, tmp_path):
    kernel.run(f"mark = {str(tmp_path / 'mark')!r}")
    ran = kernel.run(
        "%%step flaky --retries 2\nfrom pathlib import Path\ntries = Path(mark)\n"
        "seen = len(tries.read_text()) if tries.exists() else 0\ntries.write_text('x' * (seen + 1))\n"
        "if seen < 2:\n    raise OSError('not yet')\nattempts = seen + 1"
    )
    assert kernel.look("attempts") == 3
    assert "attempt 1 of 3 ended with OSError" in ran.stderr


# -- IPython's own language inside a step


def test_magics_and_shell_lines_work_inside(kernel: Kernel):
    ran = kernel.run("%%step\nword = 'shell'\n!echo from the {word}\nlines = !echo one; echo two\nlines")
    assert "from the shell" in ran.stdout
    assert "'one', 'two'" in ran.result
    timed = kernel.run("%%step\n%time total = sum(range(1000))")
    assert "Wall time" in timed.stdout
    assert kernel.look("total") == 499500


def test_cell_magics_work_inside(kernel: Kernel):
    kernel.run("addends = [1, 2, 3]")
    timed = kernel.run("%%step\n%%time\ntimed_sum = sum(addends)")
    assert "Wall time" in timed.stdout
    assert kernel.look("timed_sum") == 6


def test_await_at_the_top_of_a_cell_works(kernel: Kernel):
    assert kernel.run("%%step\nimport asyncio\nawait asyncio.sleep(0, 'waited')").result == "'waited'"


def test_what_subprocesses_print_appears(kernel: Kernel):
    ran = kernel.run("%%step\nimport subprocess\nsubprocess.run(['echo', 'by another'])\nNone")
    assert ran.stdout == "by another\n"


def test_a_progress_bar_moves_on_one_line(kernel: Kernel):
    ran = kernel.run("%%step\nfrom tqdm import tqdm\nfor _ in tqdm(range(3)): pass")
    assert "3/3" in ran.stderr
    assert "\r" in ran.stderr


def test_asking_for_help_shows_every_option(kernel: Kernel):
    shown = kernel.inspect("%%step")
    assert "--memory SIZE" in shown
    assert "--retries N" in shown
