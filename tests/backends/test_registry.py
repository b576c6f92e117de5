"""Backends by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellyard.backends import registry
from cellyard.backends.in_process import InProcessBackend
from cellyard.errors import InvalidSettings
from cellyard.settings import load_settings


def test_a_backend_is_made_from_the_settings(tmp_path: Path) -> None:
    settings = load_settings({"CELLYARD_HOME": str(tmp_path), "CELLYARD_CPU": "3", "CELLYARD_MEMORY": "2GiB"})
    backend = registry.create_backend("in_process", settings)
    assert isinstance(backend, InProcessBackend)
    assert (backend.capacity.cpu, backend.capacity.memory) == (3.0, 2 << 30)


@pytest.mark.parametrize("name", sorted(registry.BACKENDS))
def test_every_name_of_the_table_can_be_imported(name: str) -> None:
    assert registry.backend_class(name).__name__.endswith("Backend")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InvalidSettings, match="known are: in_process, kubernetes, local"):
        registry.backend_class("nowhere")


def test_an_import_that_fails_is_answered_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BACKENDS, "far", ("cellyard.backends.no_such_module:Far", "Install the far extra."))
    with pytest.raises(InvalidSettings, match=r"no_such_module.*Install the far extra\."):
        registry.backend_class("far")
