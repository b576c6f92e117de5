"""Texts of people as the database can hold them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import types

__all__ = ["String", "Text"]


class _Held:
    """A name of a file, say, need not be UTF-8, and a text may hold what PostgreSQL refuses (NUL): what cannot be held
    is written as its escape (``\\udce9``, ``\\x00``), and is looked for as that, too."""

    def process_bind_param(self, value: Any, dialect: object) -> Any:
        """For the database."""
        if not isinstance(value, str) or (value.isascii() and "\0" not in value):
            return value
        return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


class String(_Held, types.TypeDecorator[str]):
    """A text of bounded length."""

    impl = types.String
    cache_ok = True


class Text(_Held, types.TypeDecorator[str]):
    """A text of any length."""

    impl = types.Text
    cache_ok = True
