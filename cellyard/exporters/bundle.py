"""BundleExporter: the notebook's pipeline as files that run anywhere, without a notebook and without Jupyter. Pure.

pipeline.yaml says what there is and in which order; the code lies beside it, one Python file per step, readable and
changeable. What steps need beside the code (modules, files, the lock of packages) is gathered by whoever asks, because
that takes reading disks and asking registries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from cellyard import __version__
from cellyard.errors import UsageError
from cellyard.exporters.base import Export, ExporterFacts, ExportRequest
from cellyard.exporters.bundle_readme import bundle_readme
from cellyard.model.pipeline import Pipeline, PipelineStep
from cellyard.notebook.building import pipeline_of
from cellyard.notebook.parameters import TAG
from cellyard.notebook.reading import Cell, Notebook

__all__ = ["FORMAT", "MANIFEST", "BundleExporter"]

FORMAT = 1
"""The number of this form of bundle; readers refuse higher ones."""
MANIFEST = "pipeline.yaml"
_LOAD = re.compile(r"^\s*%(?:load_ext|reload_ext)\s+(?:cellyard|kernel_magics)\s*$\n?", re.MULTILINE)


class BundleExporter:
    """The exporter. Options: ``notebook`` (the document, read), ``lock`` (the text of a pylock.toml), ``python`` (the
    version it is for), ``modules`` (files that the code imports, by their names from the notebook's folder on)."""

    about: ClassVar[ExporterFacts] = ExporterFacts(
        title="Bundle: files that run anywhere, one per step", writes_bundle=True
    )

    def export(self, request: ExportRequest) -> Export:
        """The bundle's files. Raises UsageError for a notebook that is no pipeline, with every cell and line."""
        notebook: Notebook = request.options["notebook"]
        pipeline = pipeline_of(notebook)
        if pipeline.errors:
            told = "\n".join(f"  {each}" for each in pipeline.errors)
            raise UsageError(f"{request.notebook} cannot run as a pipeline:\n{told}")
        if not pipeline.steps:
            raise UsageError(f"{request.notebook} has no steps: begin a cell with %%step NAME.")
        made = _Bundle(request, notebook, pipeline)
        files = {MANIFEST: made.manifest(), **made.setup(), **made.steps()}
        if request.options.get("lock"):
            files["pylock.toml"] = request.options["lock"]
        facts = {"name": request.options.get("name") or request.stem, "notebook": request.notebook}
        files["README.md"] = bundle_readme(facts, pipeline, has_lock="pylock.toml" in files)
        modules: Mapping[str, bytes] = request.options.get("modules") or {}
        data = {f"files/{name}": content for name, content in {**modules, **request.files}.items()}
        return Export(files=files, data=data, notes=tuple(made.notes()))


@dataclass(frozen=True, slots=True)
class _Bundle:
    request: ExportRequest
    notebook: Notebook
    pipeline: Pipeline

    def manifest(self) -> str:
        """pipeline.yaml."""
        request = self.request
        content = {
            "bundle": FORMAT,
            "name": request.options.get("name") or request.stem,
            "notebook": request.notebook,
            "made with": {"cellyard": __version__, "python": request.options.get("python", "")},
            "parameters": [
                {"name": each.name, "type": each.type, "default": each.default} for each in self.pipeline.parameters
            ],
            "setup": [name for name, _ in self._setup_groups()],
            "steps": [self._entry(number, step) for number, step in self._steps()],
        }
        head = (
            "# What runs, and in which order; steps that do not need each other run side by side. The code is in\n"
            "# the files named here. The setup runs first; each step sees what of it came before it.\n"
        )
        return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)

    def setup(self) -> dict[str, str]:
        """The cells that run before all steps: imports, definitions, constants, parameters."""
        return {name: "\n\n".join(map(_block, cells)) + "\n" for name, cells in self._setup_groups()}

    def steps(self) -> dict[str, str]:
        """A file for each step."""
        return {self._file(number, step): self._text(step) for number, step in self._steps()}

    def notes(self) -> Iterator[str]:
        """What is worth knowing of it."""
        for each in self.pipeline.problems:
            yield str(each)
        shown = len(self.pipeline.shown)
        if shown:
            yield f"{shown} plain cell{'s' * (shown > 1)} that no step needs stay in the notebook."

    def _steps(self) -> list[tuple[int, PipelineStep]]:
        known = {step.name: step for step in self.pipeline.steps}
        return list(enumerate((known[name] for name in self.pipeline.order()), 1))

    def _entry(self, number: int, step: PipelineStep) -> dict[str, Any]:
        needs = {edge.source: list(edge.names) for edge in self.pipeline.edges if edge.target == step.name}
        entry = {
            "name": step.name,
            "file": self._file(number, step),
            "cell": step.cell + 1,
            "line": step.raw_line or step.line,
            "needs": needs,
            "makes": list(step.makes),
        }
        return {key: value for key, value in entry.items() if value not in ("", {}, [])}

    def _file(self, number: int, step: PipelineStep) -> str:
        return f"steps/{number:02}-{_file_name(step.name)}.py"

    def _text(self, step: PipelineStep) -> str:
        sources = [
            f"{edge.source} ({', '.join(edge.names)})" if edge.names else edge.source for edge in self._into(step)
        ]
        lines = [
            f"# Step {step.name} of {self.request.notebook}, cell {step.cell + 1}.",
            *([f"# needs: {'; '.join(sources)}"] if sources else []),
            *([f"# makes: {', '.join(step.makes)}"] if step.makes else []),
            f"# %%step {step.raw_line or step.line}".rstrip() if step.marked else "# %%",
        ]
        return "\n".join([*lines, step.source.rstrip("\n")]) + "\n"

    def _into(self, step: PipelineStep) -> list[Any]:
        return [edge for edge in self.pipeline.edges if edge.target == step.name]

    def _setup_groups(self) -> list[tuple[str, list[Cell]]]:
        """Preamble and parameters in the notebook's order; neighbours of one kind are one file."""
        before = set(self.pipeline.preamble)
        groups: list[tuple[str, list[Cell]]] = []
        for cell in self.notebook.code:
            is_parameters = TAG in cell.tags
            if not is_parameters and (cell.index not in before or not _LOAD.sub("", cell.source).strip()):
                continue
            kind = "parameters" if is_parameters else "preamble"
            if not groups or groups[-1][0].partition("-")[0] != kind:
                count = sum(name.partition("-")[0] == kind for name, _ in groups)
                groups.append((kind if not count else f"{kind}-{count + 1}", []))
            groups[-1][1].append(cell)
        return [(f"{name}.py", cells) for name, cells in groups]


def _block(cell: Cell) -> str:
    return f"# %% cell {cell.index + 1}\n{_LOAD.sub('', cell.source).rstrip()}"


def _file_name(step: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", step).strip("-") or "step"
