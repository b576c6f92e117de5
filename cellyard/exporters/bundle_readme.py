"""The README that goes with a bundle. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cellyard.model.pipeline import Pipeline
from cellyard.notebook.drawing import draw_mermaid

__all__ = ["bundle_readme"]

_TEXT = """\
# {name}

The pipeline of the notebook `{notebook}`, as files that run without the notebook and without Jupyter.

```
{environment}cellyard run .{options}
```

{parameters}
| file | holds |
| --- | --- |
| `pipeline.yaml` | what runs, and in which order |
| `preamble.py`, `parameters.py` | imports, definitions and constants; the parameters with their defaults |
| `steps/` | one file per step: below the line that begins with `# %%` is the code, and it may be changed |
| `files/` | modules and data that go with it; the steps run in this folder |
{lock}| `proof.md`, `proof.json` | if it was exported with `--prove`: how its values compare with the notebook's |

## The steps

```mermaid
{graph}
```
"""
_ENVIRONMENT = """\
uv venv .venv
uv pip install --python .venv -r pylock.toml
uv pip install --python .venv 'cellyard[engine]'      # unless the lock has it
. .venv/bin/activate
"""


def bundle_readme(facts: Mapping[str, str], pipeline: Pipeline, *, has_lock: bool) -> str:
    """The text. Facts: name, notebook."""
    first = pipeline.parameters[0] if pipeline.parameters else None
    rows = "\n".join(f"| `{each.name}` | {each.type} | `{each.default}` |" for each in pipeline.parameters)
    return _TEXT.format(
        name=facts["name"],
        notebook=facts["notebook"],
        environment=_ENVIRONMENT if has_lock else "",
        options=f" -p {first.name}={first.default}" if first else "",
        parameters=f"| parameter | type | default |\n| --- | --- | --- |\n{rows}\n" if rows else "",
        lock="| `pylock.toml` | the packages, each in one version, with hashes |\n" if has_lock else "",
        graph=draw_mermaid(pipeline).strip(),
    )
