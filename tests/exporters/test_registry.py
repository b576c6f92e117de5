"""Exporters of other packages: what they say of themselves is what is offered for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellyard.cli import main
from cellyard.errors import UsageError
from cellyard.exporters.registry import create_exporter, exporters_told
from tests.exporters.notebooks import write_notebook

SOURCE = """
from dataclasses import replace
from cellyard.exporters import ExporterFacts
from cellyard.exporters.bundle import BundleExporter

class Signed(BundleExporter):
    about = ExporterFacts(title="Bundle with a signature", writes_bundle=True)

    def export(self, request):
        made = super().export(request)
        return replace(made, files={**made.files, "signature.txt": str(len(made.files))})

class Silent:
    pass
"""


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution names two exporters, of which one is none."""
    info = tmp_path / "signing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: signing\nVersion: 1.0\n")
    entries = "signed = cellyard_signing:Signed\nsilent = cellyard_signing:Silent\n"
    (info / "entry_points.txt").write_text(f"[cellyard.exporters]\n{entries}")
    (tmp_path / "cellyard_signing.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("registered")
def test_what_an_exporter_says_of_itself_is_told_and_what_keeps_one_from_use():
    found = {each["name"]: each for each in exporters_told()}
    assert found.keys() == {"bundle", "kubernetes", "signed", "silent"}
    assert (found["signed"]["title"], found["signed"]["writes_bundle"]) == ("Bundle with a signature", True)
    assert "has no attribute 'about'" in found["silent"]["problem"]
    with pytest.raises(UsageError, match="It belongs to signing"):
        create_exporter("silent")


@pytest.mark.usefixtures("registered")
def test_another_packages_bundle_is_exported_as_a_bundle_is(tmp_path: Path):
    path = write_notebook(tmp_path, "%%step first\na = 1")
    output = tmp_path / "out"
    assert main(["export", str(path), "--to", "signed", "--output", str(output), "--no-lock"]) == 0
    assert (output / "pipeline.yaml").is_file()
    assert int((output / "signature.txt").read_text()) > 1
    assert main(["export", str(path), "--to", "signed", "--output", str(output), "--schedule", "0 6 * * *"]) == 2
