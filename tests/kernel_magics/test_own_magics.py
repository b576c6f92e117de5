"""Magics that the notebook has registered itself are there in its steps, and those that a step registers after it."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks.kernels import Kernel

REGISTER = "from IPython.core.magic import Magics, line_magic, magics_class, register_cell_magic, register_line_magic\n"


def test_a_magic_of_the_notebook_is_one_in_its_steps_with_the_names_it_uses(kernel: Kernel):
    kernel.run(
        f"{REGISTER}@register_line_magic\ndef scaled(line):\n    return int(line) * scale\ndel scaled\nscale = 3"
    )
    assert kernel.run("%%step\ngot = %scaled 5\ngot").result == "15"
    kernel.run("scale = 4\ndef through():\n    return get_ipython().run_line_magic('scaled', '2')")
    assert kernel.run("%%step\nthrough()").result == "8"


def test_a_magic_that_a_step_registers_is_there_for_later_cells(kernel: Kernel):
    kernel.run(f"%%step\n{REGISTER}@register_cell_magic\ndef shouted(_, cell):\n    print(cell.upper())\ndel shouted")
    assert kernel.run("%%shouted\nplain").stdout == "PLAIN\n\n"
    assert kernel.run("%%step\n%%shouted\nstep").stdout == "STEP\n\n"


def test_a_class_of_magics_travels_both_ways(kernel: Kernel):
    defined = (
        "@magics_class\nclass {0}(Magics):\n    @line_magic\n    def {1}(self, line):\n        print('{1}', line)\n"
    )
    kernel.run(REGISTER + defined.format("First", "greet") + "get_ipython().register_magics(First)")
    assert kernel.run("%%step\n%greet one").stdout == "greet one\n"
    kernel.run("%%step\n" + REGISTER + defined.format("Second", "leave") + "get_ipython().register_magics(Second)")
    assert kernel.run("%leave two").stdout == "leave two\n"


def test_magics_that_only_the_notebook_could_make_keep_no_step_from_running(kernel: Kernel):
    made = "class Demanding(Magics):\n  def __init__(self, shell, more):\n    super().__init__(shell)\n"
    asked = "  @line_magic\n  def ask(self, line):\n    print('asked')\n"
    kernel.run(f"{REGISTER}@magics_class\n{made}{asked}get_ipython().register_magics(Demanding(get_ipython(), 1))")
    assert kernel.run("%ask").stdout == "asked\n"
    assert "not found" in kernel.run("%%step\n%ask").stderr
    kernel.run(
        "del get_ipython().magics_manager.registry['Demanding'], get_ipython().magics_manager.magics['line']['ask']"
    )


def test_the_list_of_magics_is_the_same(kernel: Kernel):
    assert kernel.run("%%step\n%lsmagic").result == kernel.run("%lsmagic").result


def test_an_extension_of_the_notebook_is_loaded_already_and_can_be_unloaded(kernel: Kernel, tmp_path: Path):
    (tmp_path / "polite.py").write_text(
        "def load_ipython_extension(shell):\n    shell.register_magic_function(print, magic_name='say')\n"
        "def unload_ipython_extension(shell):\n    del shell.magics_manager.magics['line']['say']\n"
    )
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n%load_ext polite\n%load_ext autoreload")
    assert "already loaded" in kernel.run("%%step\n%load_ext polite").stdout
    assert kernel.run("%%step\n%say word\n%unload_ext polite").stdout == "word\n"
    assert "not found" in kernel.run("%say word").stderr
    assert "how to unload" in kernel.run("%%step\n%unload_ext autoreload").stdout


def test_what_only_the_kernel_can_do_says_so(kernel: Kernel):
    assert "without %%step" in kernel.run("%%step\n%steps").stderr
