"""What a notebook may set in a library as a whole, of libraries with a setting or two, as a part of the process state.

Each function but those for rich is called only where the library's module is imported.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import wrapt

from cellyard.artifacts.process_objects import find_here
from cellyard.worker.callbacks import travelling

__all__ = [
    "mark_sklearn_ids",
    "plotly_renderer",
    "plotly_template",
    "plotly_templates",
    "rich_pretty",
    "set_plotly_renderer",
    "set_plotly_template",
    "set_plotly_templates",
    "set_rich_pretty",
    "set_sklearn",
    "set_sklearn_experiments",
    "set_sympy",
    "set_torch",
    "set_torch_random",
    "sklearn",
    "sklearn_experiments",
    "sympy",
    "torch",
    "torch_random",
]


def sklearn() -> dict[str, Any]:
    """``sklearn.set_config``: whether transformers give frames, how estimators are shown."""
    found: dict[str, Any] = sys.modules["sklearn"].get_config()
    return found


def set_sklearn(value: Mapping[str, Any]) -> None:
    """What is another here: setting may import much."""
    now = sklearn()
    if changed := {key: setting for key, setting in value.items() if now.get(key) != setting}:
        sys.modules["sklearn"].set_config(**changed)


def mark_sklearn_ids(mark: str) -> None:
    """Estimators that this process shows get HTML ids with this mark. They are numbered from 1 on in each process, and
    in a notebook none must come twice: a click would open another cell's diagram."""
    for name in ("sklearn.utils._repr_html.estimator", "sklearn.utils._estimator_html_repr"):
        shown = vars(sys.modules.get(name, object))
        for counter in ("_CONTAINER_ID_COUNTER", "_ESTIMATOR_ID_COUNTER"):
            if counter in shown:
                shown[counter].prefix += f"-{mark}"


def rich_pretty() -> bool:
    """``rich.pretty.install``: whether values are shown as rich shows them."""
    shell = find_here("shell")
    text = shell.display_formatter.formatters["text/plain"] if shell is not None else None
    return type(text).__module__ == "rich.pretty"


def set_rich_pretty(value: bool) -> None:
    """Nothing takes it back but a shell of its own. It is for all that is shown, and so imports rich."""
    if value and not rich_pretty() and find_here("shell") is not None:
        importlib.import_module("rich.pretty").install()


_EXPERIMENTS = "sklearn.experimental.enable_"
_ENABLED = {"iterative_imputer": "sklearn.impute", "halving_search_cv": "sklearn.model_selection"}
"""Experiments by their names, with the module in which they are."""
_waiting: set[str] = set()


def sklearn_experiments() -> tuple[str, ...]:
    """Those that ``from sklearn.experimental import enable_...`` has let others import."""
    here = {name for name in _ENABLED if f"{_EXPERIMENTS}{name}" in sys.modules}
    return tuple(sorted(here | _waiting))


def set_sklearn_experiments(value: Sequence[str]) -> None:
    """Enable them as soon as somebody imports the module that they are in."""
    for name in set(value) - set(sklearn_experiments()):
        module, enabling = _ENABLED[name], f"{_EXPERIMENTS}{name}"
        if module in sys.modules:
            importlib.import_module(enabling)
        else:
            _waiting.add(name)
            wrapt.register_post_import_hook(functools.partial(_enable, enabling), module)


def _enable(enabling: str, _: Any) -> None:
    importlib.import_module(enabling)


_OF_PLOTLY = {
    "ggplot2", "gridon", "none", "plotly", "plotly_dark", "plotly_white", "presentation", "seaborn", "simple_white",
    "xgridoff", "ygridoff",
}  # fmt: skip


def plotly_templates() -> dict[str, Any]:
    """Those that the notebook has made, as plain values."""
    templates = sys.modules["plotly.io"].templates
    return {name: templates[name].to_plotly_json() for name in templates if name not in _OF_PLOTLY}


def set_plotly_templates(value: Mapping[str, Any]) -> None:
    """Have these and no others beside plotly's own."""
    templates, now = sys.modules["plotly.io"].templates, plotly_templates()
    for name in now.keys() - value.keys():
        del templates[name]
    for name, template in value.items():
        if now.get(name) != template:
            templates[name] = template


def plotly_template() -> str:
    """``plotly.io.templates.default``: what figures look like."""
    return str(sys.modules["plotly.io"].templates.default)


def set_plotly_template(value: str) -> None:
    """Figures made from now on."""
    sys.modules["plotly.io"].templates.default = value


def plotly_renderer() -> str:
    """``plotly.io.renderers.default``: what shows figures."""
    return str(sys.modules["plotly.io._renderers"].renderers.default)


def set_plotly_renderer(value: str) -> None:
    """Nothing where it is that already: a renderer that is set begins anew."""
    if value != plotly_renderer():
        sys.modules["plotly.io._renderers"].renderers.default = value


def torch_random() -> bytes:
    """``torch.get_rng_state``: of the generator that torch itself draws from, on the processor."""
    state = sys.modules["torch"].get_rng_state()
    return ctypes.string_at(state.data_ptr(), state.numel())


def set_torch_random(value: bytes) -> None:
    """What is drawn next."""
    torch = sys.modules["torch"]
    torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


def sympy() -> dict[str, Any]:
    """What ``sympy.init_printing`` sets beside IPython's printers: how expressions show themselves."""
    library = sys.modules["sympy.printing.printer"]
    shows = {name: vars(_printable()).get(name) for name in _OF_EXPRESSIONS}
    own = {name: each for name, each in shows.items() if not getattr(each, "__qualname__", "").startswith("Printable.")}
    found = {name: None if each is None else travelling(each) for name, each in own.items()}
    return {"shown": found, "settings": dict(library.Printer._global_settings)}


_OF_EXPRESSIONS = ("_repr_png_", "_repr_svg_", "_repr_latex_")


def _printable() -> Any:
    return sys.modules["sympy.core._print_helpers"].Printable


def set_sympy(value: Mapping[str, Any]) -> None:
    """What is another here."""
    for name, callback in value["shown"].items():
        function = None if callback is None else callback.function()
        if vars(_printable()).get(name) is not function:
            setattr(_printable(), name, function)
    sys.modules["sympy.printing.printer"].Printer._global_settings = dict(value["settings"])


def torch() -> dict[str, Any]:
    """In plain values, which pickle without torch: the type of new tensors, whether gradients are followed, what must
    be deterministic, how tensors are shown; and the number of the next hook, which is the key of all its hooks."""
    library = sys.modules["torch"]
    return {
        "dtype": str(library.get_default_dtype()).removeprefix("torch."),
        "gradients": library.is_grad_enabled(),
        "deterministic": (
            library.are_deterministic_algorithms_enabled(),
            library.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "precision": library.get_float32_matmul_precision(),
        "shown": dict(vars(library._tensor_str.PRINT_OPTS)),
        "hooks": library.utils.hooks.RemovableHandle.next_id,
    }


def set_torch(value: Mapping[str, Any]) -> None:
    """What is another here."""
    library, now = sys.modules["torch"], torch()
    if now["dtype"] != value["dtype"]:
        library.set_default_dtype(getattr(library, value["dtype"]))
    library.set_grad_enabled(value["gradients"])
    if now["deterministic"] != value["deterministic"]:
        is_on, only_warns = value["deterministic"]
        library.use_deterministic_algorithms(is_on, warn_only=only_warns)
    if now["precision"] != value["precision"]:
        library.set_float32_matmul_precision(value["precision"])
    vars(library._tensor_str.PRINT_OPTS).update(value["shown"])
    library.utils.hooks.RemovableHandle.next_id = value["hooks"]
