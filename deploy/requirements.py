"""The requirements of pyproject.toml with some extras, one per line: ``python requirements.py FILE kernel,s3``.

An image's layer that depends on these lines alone stays as it is while everything else in the project changes.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

OWN = re.compile(r"cellyard\[([\w,\s-]+)\]")


def requirements(project: dict[str, Any], extras: set[str]) -> set[str]:
    """What the project needs, and what its extras need, those that extras name among them."""
    lists = project["optional-dependencies"]
    unknown = sorted(extras - lists.keys())
    if unknown:
        sys.exit(f"there is no extra {', '.join(unknown)}; there are: {', '.join(lists)}")
    found = set(project["dependencies"])
    seen = set[str]()
    while extras:
        seen |= extras
        lines = {line for extra in extras for line in lists[extra]}
        extras = {name for line in lines if (own := OWN.match(line)) for name in names(own[1])} - seen
        found |= {line for line in lines if not OWN.match(line)}
    return found


def names(text: str) -> set[str]:
    """The names in a list with commas; spaces and empty entries do not count."""
    return {name.strip() for name in text.split(",") if name.strip()}


if __name__ == "__main__":
    file, extras = sys.argv[1:]
    project = tomllib.loads(Path(file).read_text(encoding="utf-8"))["project"]
    print("\n".join(sorted(requirements(project, names(extras)))))
