"""What a notebook may set in a library as a whole, of libraries with a setting or two, as a part of the process state.

Each function is called only where the library's module is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["plotly_renderer", "plotly_template", "set_plotly_renderer", "set_plotly_template", "set_sklearn", "sklearn"]


def sklearn() -> dict[str, Any]:
    """``sklearn.set_config``: whether transformers give frames, how estimators are shown."""
    found: dict[str, Any] = sys.modules["sklearn"].get_config()
    return found


def set_sklearn(value: Mapping[str, Any]) -> None:
    """What is another here: setting may import much."""
    now = sklearn()
    if changed := {key: setting for key, setting in value.items() if now.get(key) != setting}:
        sys.modules["sklearn"].set_config(**changed)


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
