"""Who may import whom: the table of rooms, and what each may use besides the standard library."""

from __future__ import annotations

from tests.house.source_tree import dotted, imports, modules, room_of, third_party

# room: (rooms of the house that it may import, packages that it may import)
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "background": (set(), set()),
    "lock_file": (set(), set()),
    "settings": ({"model"}, {"platformdirs"}),
    "logged": (set(), set()),
    "origin": (set(), set()),
    "whereabouts": (set(), set()),
    "machine": ({"model", "settings"}, set()),
    "tables": (set(), set()),
    "model": (set(), set()),
    "analysis": ({"model"}, {"IPython"}),
    "notebook": ({"model", "analysis"}, {"IPython"}),
    "artifacts": (
        {"model"},
        {
            "aiobotocore",
            "blake3",
            "cloudpickle",
            "fsspec",
            "msgpack",
            "numpy",
            "pandas",
            "pyarrow",
            "s3fs",
            "wrapt",
            "zstandard",
        },
    ),
    "environment": ({"analysis", "artifacts", "tables"}, {"packaging"}),
    "records": ({"model", "lock_file"}, {"sqlalchemy"}),
    "worker": (
        {"model", "logged", "tables", "artifacts", "analysis", "environment"},
        {
            "IPython",
            "cloudpickle",
            "matplotlib",
            "matplotlib_inline",
            "msgpack",
            "numpy",
            "pandas",
            "threadpoolctl",
            "traitlets",
            "wrapt",
        },
    ),
    "backends": (
        {"background", "model", "settings", "machine", "worker"},
        {"dask", "distributed", "httpx", "httpx_ws", "kr8s", "msgpack", "tlz", "tornado", "uvloop"},
    ),
    "execution": ({"background", "model", "settings", "environment", "records", "backends"}, set()),
    "service": (
        {
            "tables",
            "reports",
            "schedules",
            "exporters",
            "model",
            "settings",
            "lock_file",
            "machine",
            "notebook",
            "records",
            "backends",
            "execution",
            "whereabouts",
        },
        {"fastapi", "pydantic", "starlette", "uvicorn", "uvloop"},
    ),
    "reports": ({"model"}, set()),
    "schedules": ({"background", "model", "settings", "records", "execution"}, {"cronsim", "httpx"}),
    "kubernetes": ({"model", "settings", "artifacts", "environment", "backends"}, {"kopf", "yaml"}),
    "exporters": (
        {
            "model",
            "settings",
            "analysis",
            "environment",
            "notebook",
            "backends",
            "kubernetes",
            "schedules",
            "artifacts",
            "records",
        },
        {"matplotlib", "numpy", "pandas", "torch", "yaml"},
    ),
    "history": ({"model", "settings", "tables", "artifacts", "records", "service"}, set()),
    "cli": (
        {
            "model",
            "settings",
            "machine",
            "tables",
            "notebook",
            "artifacts",
            "records",
            "backends",
            "service",
            "kubernetes",
            "exporters",
            "history",
            "origin",
            "schedules",
        },
        {"IPython", "fsspec", "jupyter_client", "nbclient", "nbformat", "rich", "traitlets"},
    ),
    "__main__": ({"cli"}, set()),
    "kernel_magics": (
        {
            "model",
            "logged",
            "origin",
            "tables",
            "settings",
            "analysis",
            "notebook",
            "artifacts",
            "environment",
            "worker",
            "service",
            "history",
            "whereabouts",
        },
        {
            "IPython",
            "cloudpickle",
            "ipykernel",
            "ipywidgets",
            "matplotlib_inline",
            "traitlets",
            "wrapt",
            "zmq",
        },
    ),
    "jupyter_ext": ({"settings", "service"}, {"httpx", "jupyter_server", "tornado"}),
    "cellyard": ({"history", "logged", "kernel_magics"}, {"IPython"}),
}
EVERYWHERE = {"errors", "cellyard"}
"""The tree of errors, and the package itself (its version)."""


def test_every_room_has_its_line():
    rooms = {room_of(dotted(path)) for path in modules()}
    assert rooms <= ROOMS.keys(), f"new rooms: give {rooms - ROOMS.keys()} a line in ROOMS and in ARCHITECTURE.md"


def test_a_module_imports_only_rooms_below_its_own():
    wrong = []
    for path in modules():
        room = room_of(dotted(path))
        allowed = ROOMS[room][0] | EVERYWHERE | {room}
        wrong += [
            f"{found.place} imports {found.module}"
            for found in imports(path)
            if found.module.partition(".")[0] in {"cellyard", "kernel_magics", "jupyter_ext"}
            and room_of(found.module) not in allowed
        ]
    assert not wrong, wrong


def test_a_module_uses_only_packages_of_its_room():
    wrong = [
        f"{found.place} imports {found.module}"
        for path in modules()
        for found in third_party(path)
        if found.module not in ROOMS[room_of(dotted(path))][1]
    ]
    assert not wrong, wrong


def test_the_engine_knows_no_face():
    # The package itself names one in its %load_ext hook, and only when that is called.
    engine = [path for path in modules() if room_of(dotted(path)) not in {"kernel_magics", "jupyter_ext", "cellyard"}]
    faces = ("kernel_magics", "jupyter_ext")
    known = [found.place for path in engine for found in imports(path) if found.module.startswith(faces)]
    assert not known, known


def test_rooms_form_no_circle():
    above = {room: others - {room, "cellyard"} for room, (others, _) in ROOMS.items() if room != "cellyard"}
    settled: set[str] = {"errors"}
    while ready := {room for room, others in above.items() if others <= settled} - settled:
        settled |= ready
    assert settled >= set(above)
