"""The worker image of the checkout, brought to the test cluster.

`python -m tests.cluster.images` starts the cluster too, and prints the image's name; standard library only.

Built whole from `deploy/Dockerfile` only when the Dockerfile or the requirements have changed. On that base goes a
layer of this checkout's modules, with their bytecode: made here within a second or two, and imported without the base,
which the cluster has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import py_compile
import runpy
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from tests.cluster.program import CLUSTER, ask, one_at_a_time
from tests.house.source_tree import PACKAGES, ROOT

__all__ = ["EXTRAS", "IMAGE", "bring_image"]

IMAGE = f"localhost/cellyard-worker:test-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
"""Each checkout has its own: two may be tested at once."""
EXTRAS = "kernel,kubernetes,s3,examples"
SITE = f"opt/cellyard/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
MEDIA = "application/vnd.oci.image"


def bring_image() -> str:
    """The name of an image with this checkout's code, which pods of the cluster can start from."""
    with one_at_a_time("image"):
        base = f"localhost/cellyard-worker:base-{_base_key()}"
        config = _config(base)
        if config is None or not _import(config, base):
            _cluster(
                "build", base, ROOT, "-f", ROOT / "deploy/Dockerfile", "--build-arg", f"EXTRAS={EXTRAS}", timeout=600
            )
            config = _config(base)
            assert config is not None, f"{base} was built, and is not there"
            assert _import(config, base), f"{base} was imported, and the cluster lacks layers of it"
    return IMAGE


def _base_key() -> str:
    """Of everything that the base is made of, the modules apart."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = runpy.run_path(str(ROOT / "deploy/requirements.py"))["requirements"]
    lines = sorted(requirements(project, set(EXTRAS.split(","))))
    parts = [lines, project["version"], project["scripts"], (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _config(image: str) -> dict[str, Any] | None:
    """The image's configuration as buildah keeps it; None when it has no such image."""
    done = subprocess.run(
        ["buildah", "inspect", "--type", "image", image],
        env=os.environ | {"STORAGE_DRIVER": "overlay"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return None if done.returncode else json.loads(done.stdout)["OCIv1"]


def _import(config: dict[str, Any], base: str) -> bool:
    """Give the cluster IMAGE, the base and one more layer; false when the cluster does not have the base."""
    layer = _modules_layer()
    below = config["rootfs"]["diff_ids"]
    configuration = json.dumps(
        {**config, "rootfs": {"type": "layers", "diff_ids": [*below, _digest(layer)]}, "history": []}
    ).encode()
    layers = [{"mediaType": f"{MEDIA}.layer.v1.tar", "digest": digest, "size": 0} for digest in below]
    layers.append({"mediaType": f"{MEDIA}.layer.v1.tar", "digest": _digest(layer), "size": len(layer)})
    manifest = json.dumps(
        {"schemaVersion": 2, "config": _described(configuration, "config.v1+json"), "layers": layers}
    ).encode()
    index = {"schemaVersion": 2, "manifests": [_described(manifest, "manifest.v1+json")]}
    index["manifests"][0]["annotations"] = {"io.containerd.image.name": IMAGE}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        with tarfile.open(archive, "w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _add(tar, "index.json", json.dumps(index).encode())
            for blob in (configuration, manifest, layer):
                _add(tar, f"blobs/sha256/{_digest(blob).partition(':')[2]}", blob)
        return _cluster("image", IMAGE, archive, timeout=60, check=False).returncode == 0


def _modules_layer() -> bytes:
    """A layer that replaces the packages: the same bytes for the same modules."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar, tempfile.TemporaryDirectory() as folder:
        for package in PACKAGES:
            # Nothing of what the layers below have in this folder is seen any more.
            _add(tar, f"{SITE}/{package}/.wh..wh..opq", b"")
            for path in sorted((ROOT / package).rglob("*")):
                name = path.relative_to(ROOT)
                if not path.is_file() or "__pycache__" in name.parts:
                    continue
                _add(tar, f"{SITE}/{name}", path.read_bytes())
                if path.suffix == ".py":
                    compiled = Path(folder) / "compiled"
                    # Unchecked: no time stamp in it that would have to be the file's.
                    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
                    py_compile.compile(
                        str(path), str(compiled), f"/{SITE}/{name}", doraise=True, invalidation_mode=mode
                    )
                    cached = name.parent / "__pycache__" / f"{name.stem}.{sys.implementation.cache_tag}.pyc"
                    _add(tar, f"{SITE}/{cached}", compiled.read_bytes())
    return written.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))


def _described(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": f"{MEDIA}.{kind}", "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _cluster(*arguments: object, timeout: float, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (CLUSTER, *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


if __name__ == "__main__":
    ask("up")
    print(bring_image())
