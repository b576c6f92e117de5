"""The shell of a step: IPython's own, whose output becomes messages. No history, no terminal, no settings of a user."""

from __future__ import annotations

import builtins
import contextlib
import linecache
import os
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import IPython.core.compilerop
import IPython.core.displayhook
import IPython.core.displaypub
import IPython.core.interactiveshell
from traitlets import Any as AnyTrait

from cellyard.worker.outputs import Channel

__all__ = ["StepShell", "make_shell", "warm"]


# Half of IPython's functions have no annotations.
_DisplayHook: Any = IPython.core.displayhook.DisplayHook
_DisplayPublisher: Any = IPython.core.displaypub.DisplayPublisher
_Compiler: Any = IPython.core.compilerop.CachingCompiler
_Shell: Any = IPython.core.interactiveshell.InteractiveShell


class StepDisplayHook(_DisplayHook):  # type: ignore[misc]
    """The value of the last expression, as an ``execute_result`` message."""

    channel: Channel | None = None
    value: Any = None
    has_value = False
    _is_active = False

    def quiet(self) -> bool:
        return bool(self.semicolon_at_end_of_expression(self.shell.step_source))

    def __call__(self, result: Any = None) -> None:
        self.check_for_underscore()
        if result is None or self.quiet():
            return
        data, metadata = self.compute_format_data(result)
        self.fill_exec_result(result)
        self.value, self.has_value = result, True
        if self.channel is not None and data:
            self.channel.show({"type": "execute_result", "data": data, "metadata": metadata})


class StepDisplayPublisher(_DisplayPublisher):  # type: ignore[misc]
    """``display()`` and rich output, as messages."""

    channel: Channel | None = None

    def _setup_execution_tracking(self) -> None:
        """Only the history of outputs would need it."""

    def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> None:
        if self.channel is None:
            return
        kind = "update_display_data" if options.get("update") else "display_data"
        transient = options.get("transient") or {}
        self.channel.show({"type": kind, "data": data, "metadata": metadata or {}, "transient": transient})

    def clear_output(self, wait: bool = False) -> None:
        if self.channel is not None:
            self.channel.show({"type": "clear_output", "wait": wait})


class StepCompiler(_Compiler):  # type: ignore[misc]
    """Calls the step's cell as the kernel calls it, in tracebacks, warnings and whatever else asks where code is."""

    own: tuple[str, int] | None = None

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return self.own[0] if self.own else str(super().get_code_name(raw_code, transformed_code, number))

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name: str = super().cache(transformed_code, self.own[1] if self.own else number, raw_code)
        self.own = None  # what the cell itself may have compiled has names of its own
        return name

    def know(self, files: Mapping[str, tuple[int, str]]) -> None:
        """The texts of earlier cells, with their numbers, which functions of this step come from."""
        for name, (number, text) in files.items():
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            self._filename_map[name] = number


class StepShell(_Shell):  # type: ignore[misc]
    """One cell is run in it, then the process ends."""

    displayhook_class = AnyTrait(StepDisplayHook)
    display_pub_class = AnyTrait(StepDisplayPublisher)
    compiler_class = AnyTrait(StepCompiler)
    # Libraries ask these two whether a notebook shows what they print: pandas (how wide a table may be), rich,
    # plotly and others look at the class's name, pandas and Dask at whether there is a kernel.
    kernel = None
    step_source = ""
    line_offset = 0
    _is_running = False

    def init_history(self) -> None:
        """A step has no history of its own, and opens no database for one."""
        self.history_manager = None

    def init_io(self) -> None:
        """The child sets its streams itself."""

    def init_virtualenv(self) -> None:
        """The worker's interpreter is the environment."""

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """IPython keeps a second copy of all text in its history; here the run's log is the one copy."""
        yield

    def enable_gui(self, gui: str | None = None) -> None:
        """There is no event loop of a window system here; figures are shown inline."""

    def transform_cell(self, raw_cell: str) -> str:
        """The cell as Python, moved down by the lines above it, so that tracebacks show the cell's own numbers."""
        transformed: str = super().transform_cell(raw_cell)
        return "\n" * self.line_offset + transformed

    def ask_exit(self) -> None:
        """``exit()`` ends the cell; the process ends with it anyway."""
        raise SystemExit

    def begin(self, count: int, file: str, shown: Mapping[str, Any], sources: list[str] | None) -> None:
        """Number ``count`` is the next cell, ``file`` its name as one; ``shown`` are values of earlier cells by their
        names ``_5``, ``sources`` all earlier cells, where they are wanted."""
        self.compile.own = (file or self.compile.get_code_name(self.step_source, "", count), count)
        self.execution_count = count + 1  # as in a kernel while its cell runs
        outputs = {int(name[1:]): value for name, value in shown.items()}
        inputs = ["", *[""] * count] if sources is None else sources
        earlier = dict(zip(("_i", "_ii", "_iii"), (inputs[::-1] + [""] * 4)[1:4], strict=True))
        own = {"In": inputs, "_ih": inputs, "Out": outputs, "_oh": outputs, "_dh": [os.getcwd()], **earlier}  # noqa: PTH109
        self.user_ns.update(own)
        self.user_ns_hidden.update(own)

    def connect(self, channel: Channel) -> None:
        """Send all output there from now on."""
        self.displayhook.channel = channel
        self.display_pub.channel = channel

    async def run_code(self, *arguments: Any, **options: Any) -> Any:
        self._is_running = True
        try:
            return await super().run_code(*arguments, **options)
        finally:
            self._is_running = False

    def showtraceback(self, exc_tuple: Any = None, *arguments: Any, **options: Any) -> None:
        """An error that ends the cell is shown by the notebook when it is raised there; one on the way, of a value that
        cannot be shown, is an output."""
        self.step_traceback: list[str] = []
        super().showtraceback(exc_tuple, *arguments, **options)
        is_on_the_way = self._is_running and exc_tuple is not None and not options.get("running_compiled_code")
        if is_on_the_way and self.step_traceback and self.display_pub.channel is not None:
            name, value = exc_tuple[0].__name__, str(exc_tuple[1])
            message = {"type": "error", "ename": name, "evalue": value, "traceback": self.step_traceback}
            self.display_pub.channel.show(message)

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        """Nothing is printed: the notebook shows the error when it is raised there."""
        self.step_traceback = stb


StepShell.__name__ = StepShell.__qualname__ = "ZMQInteractiveShell"


def make_shell() -> StepShell:
    """The process's shell, made on the first call."""
    shell: StepShell = StepShell.instance(colors="nocolor")
    shell.user_ns["__name__"] = "__main__"
    # By these, too, libraries tell a notebook from a terminal.
    shell.config.IPKernelApp.update({})
    known = types.ModuleType("ipykernel.zmqshell", "The shell of a kernel, here that of a step.")
    known.__dict__["ZMQInteractiveShell"] = StepShell
    sys.modules.setdefault(known.__name__, known)
    # Also outside of cells: a package imported ahead, or with an input, asks at its import whether it is in a notebook.
    builtins.__dict__["get_ipython"] = shell.get_ipython
    return shell


def warm() -> None:
    """Make the shell, and run through everything once that is slow only the first time."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    shell = make_shell()
    shell.colors = "neutral"
    shell.step_source = "1/0;"
    shell.run_cell("[1, 2];", store_history=False)
    shell.run_cell("def f():\n    1/0\nf()", store_history=False)
    shell.user_ns.pop("f", None)
    import threadpoolctl  # noqa: F401

    import cellyard.worker.child  # noqa: F401
    from cellyard.worker.rehearsal import rehearse

    # Python specialises code after some calls.
    rehearse(shell, times=10)
