"""Parsed pages of Beautiful Soup and templates of Jinja, which are cut off from their parts, or fail, when pickled."""

from __future__ import annotations

from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["document_reduce"]


def document_reduce(obj: Any, kind: type) -> Any:
    """The reduction of an object of these libraries, else NotImplemented."""
    match package_of(kind):
        case "bs4" if any(each.__name__ == "BeautifulSoup" for each in kind.__mro__):
            return _new, (kind,), _page(obj), None, None, _set_page
        case "bs4" if issubclass(kind, str):
            return str.__new__, (kind, str.__str__(obj)), dict(vars(obj))
        case "jinja2" if kind.__name__ == "Template":
            return _new, (kind,), dict(vars(obj))
    return NotImplemented


def _new(kind: type) -> Any:
    return object.__new__(kind)


def _page(obj: Any) -> dict[str, Any]:
    """All that the page consists of. By itself it would be its text, to be parsed again, and the tags that the notebook
    has of it were those of another page."""
    builder = obj.builder
    is_left = builder is not None and not builder.picklable
    return {**vars(obj), "builder": type(builder) if is_left else builder}


def _set_page(obj: Any, state: dict[str, Any]) -> None:
    obj.__dict__.update(state)
    if isinstance(obj.builder, type):
        obj.builder = obj.builder()
