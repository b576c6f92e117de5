"""What a type says of where it is from."""

from __future__ import annotations

__all__ = ["package_of"]


def package_of(kind: type) -> str:
    """The package that the type is from: "pandas". Empty where it does not say, as the classes of sympy's functions."""
    module = kind.__module__
    return module.partition(".")[0] if isinstance(module, str) else ""
