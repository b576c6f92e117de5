"""A pipeline drawn: as text for a terminal, as Mermaid for documents. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cellyard.model.pipeline import Pipeline, PipelineStep

__all__ = ["draw_mermaid", "draw_text"]


def draw_text(pipeline: Pipeline) -> str:
    """One line per step: its size, what it takes from which step, and what it makes."""
    lines = [*_parameters(pipeline), *_preamble(pipeline)]
    width = max((len(step.name) for step in pipeline.steps), default=0)
    sizes = max((len(str(step.resources)) for step in pipeline.steps), default=0)
    for step in _ordered(pipeline):
        mark = " " if step.marked else "·"
        makes = ", ".join(step.makes)
        lines.append(f"{mark} {step.name:<{width}}  {step.resources!s:<{sizes}}  -> {makes or 'nothing'}")
        lines.extend(f"    {text}" for text in _takes(pipeline, step))
    if any(not step.marked for step in pipeline.steps):
        lines.append("· a plain cell, run as a step because steps need what it makes")
    if pipeline.shown:
        lines.append(f"plain cells that no step needs: {', '.join(str(cell + 1) for cell in pipeline.shown)}")
    lines.extend(f"{problem.level}: {problem}" for problem in pipeline.problems)
    return "\n".join(lines) if lines else "no steps: begin a cell with %%step NAME"


def _parameters(pipeline: Pipeline) -> Iterator[str]:
    if pipeline.parameters:
        yield "parameters: " + ", ".join(f"{each.name}={each.default}" for each in pipeline.parameters)


def _preamble(pipeline: Pipeline) -> Iterator[str]:
    if pipeline.preamble:
        yield f"before all steps: cells {', '.join(str(cell + 1) for cell in pipeline.preamble)}"


def _takes(pipeline: Pipeline, step: PipelineStep) -> Iterator[str]:
    for edge in pipeline.edges:
        if edge.target == step.name:
            yield f"<- {edge.source}: {', '.join(edge.names)}" if edge.names else f"<- {edge.source} ({edge.why})"


def _ordered(pipeline: Pipeline) -> Iterator[PipelineStep]:
    order = {name: place for place, name in enumerate(pipeline.order())}
    return iter(sorted(pipeline.steps, key=lambda step: order.get(step.name, len(order))))


def draw_mermaid(pipeline: Pipeline) -> str:
    """A flowchart: steps as boxes, plain cells as rounded ones, names along the arrows."""
    ids = {step.name: f"s{number}" for number, step in enumerate(pipeline.steps)}
    lines = ["flowchart TD"]
    for step in pipeline.steps:
        label = f"{_text(step.name)}<br/>{_text(str(step.resources))}"
        lines.append(f'    {ids[step.name]}["{label}"]' if step.marked else f'    {ids[step.name]}("{label}")')
    for edge in pipeline.edges:
        if edge.source in ids and edge.target in ids:
            arrow = f'-- "{_text(", ".join(edge.names))}" -->' if edge.names else f'-. "{_text(edge.why)}" .->'
            lines.append(f"    {ids[edge.source]} {arrow} {ids[edge.target]}")
    return "\n".join(lines)


def _text(text: str) -> str:
    return re.sub(r'["<>&#]', lambda match: f"#{ord(match[0])};", text)
