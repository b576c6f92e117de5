"""What functions and classes of the notebook hold beside their code is changed where they are changed."""

from __future__ import annotations

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home


def test_what_a_step_changes_in_a_class_is_changed_in_the_notebooks_class(kernel: Kernel):
    kernel.run(
        "class Tally:\n    made = []\n    count = 0\n    gone = 1\n    def __init__(self):\n"
        "        Tally.count += 1\n        self.made.append(self)\n"
        "first = Tally()\nthe_class = Tally"
    )
    kernel.run("%%step\nsecond = Tally()\nTally.extra = {'k': 1}\ndel Tally.gone\nTally.say = lambda self: 'said'")
    found = kernel.run(
        "Tally.count, len(Tally.made), Tally.made[1] is second, Tally.extra, hasattr(Tally, 'gone')"
    ).result
    assert found == "(2, 2, True, {'k': 1}, False)"
    assert kernel.run("Tally is the_class, type(second) is Tally, first.say()").result == "(True, True, 'said')"
    assert kernel.run("%%step\nTally().count").result == "3"


def test_what_a_step_changes_in_a_function_is_changed_in_the_notebooks_function(kernel: Kernel):
    kernel.run(
        "def counting(x, seen=[]):\n    seen.append(x)\n"
        "    counting.calls = getattr(counting, 'calls', 0) + 1\n    return len(seen)"
    )
    kernel.run("counting('a')\nsame = counting")
    assert kernel.run("%%step\ncounting('b')").result == "2"
    assert kernel.run("counting('c'), counting.calls, counting is same").result == "(3, 3, True)"


def test_such_changes_are_no_outputs_of_the_step(kernel: Kernel, home: Home):
    kernel.run("class Quiet:\n    n = 0")
    kernel.run("%%step quiet\nQuiet.n = 5\nloud = 1")
    assert kernel.look("Quiet.n") == 5
    line = next(each for each in kernel.run("%steps").result.splitlines() if each.startswith("quiet"))
    assert line.split()[-2] == "loud"


def test_what_a_class_shares_with_a_name_is_shared_after_a_step_that_shows_it(kernel: Kernel):
    kernel.run("class Sharing:\n    held = []\nsharing_it = Sharing.held")
    kernel.run("%%step\nsharing_it")
    kernel.run("%%step\nsharing_in = [sharing_it]")
    assert kernel.run("sharing_it is Sharing.held, sharing_in[0] is sharing_it").result == "(True, True)"
