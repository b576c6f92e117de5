"""Packing values into artifacts and loading them.

An artifact is one alias group: a small object in the store (MessagePack) with the table of names, the pickle, the
ids of buffers that left it, and the ids of the definitions it needs. Pickles over 64 KiB are objects of their own.
"""

from __future__ import annotations

import contextlib
import gc
import pickle
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pickle import PickleBuffer
from typing import Any

from cellyard.artifacts.culprit import cannot_travel
from cellyard.artifacts.definitions import Context, loading
from cellyard.artifacts.drawing import not_drawn
from cellyard.artifacts.encoding import decode, encode
from cellyard.artifacts.nans import loads_with_nans
from cellyard.artifacts.numbering import packed_by
from cellyard.artifacts.pickler import BUFFER_BYTES, Packer
from cellyard.artifacts.previews import preview_of
from cellyard.artifacts.reference import Preview, Reference, is_held
from cellyard.artifacts.sharing import find_sharing, shared_bases
from cellyard.artifacts.store import Store, Writer
from cellyard.errors import ArtifactMissing, CannotTravel, CellyardError

__all__ = [
    "DefinitionStore",
    "Packed",
    "load",
    "pack",
    "pack_group",
    "prefetch",
    "read_previews",
    "store_packed",
    "writing",
]

VERSION = 1


@dataclass(frozen=True, slots=True)
class Packed:
    """A group in memory, before the store has it."""

    names: tuple[str, ...]
    pickle: memoryview
    buffers: tuple[PickleBuffer, ...]
    definitions: Mapping[str, Any]
    modules: tuple[str, ...]
    files: frozenset[str] = frozenset()
    """Where the code of functions in the pickle itself comes from."""
    functions: tuple[Any, ...] = ()
    """Those functions: of the notebook, without a name of their own in it."""
    has_nans: bool = False
    """Whether the pickle has numbers in the place of floats that are not one."""

    @property
    def size(self) -> int:
        return self.pickle.nbytes + sum(buffer.raw().nbytes for buffer in self.buffers)


def pack_group(
    values: Mapping[str, Any],
    namespace: dict[str, Any],
    *,
    bases: frozenset[int] | None = None,
    where: str = "",
) -> Packed:
    """Pickle one alias group; ``bases`` are the arrays whose views must go on sharing their memory, if known.

    Raises :class:`~cellyard.errors.CannotTravel`, naming the variable and the part of it that is to blame.
    """
    packer = _dumped(values, namespace, bases or frozenset(), where)
    if bases is None and packer.met_views and (found := shared_bases(values)):
        packer = _dumped(values, namespace, found, where)
    modules = tuple(sorted(packer.modules - {"", "builtins", "cellyard", "cloudpickle", "__main__"}))
    buffers, files = tuple(packer.buffers), frozenset(packer.files)
    pickled, functions = packer.file.getbuffer(), tuple(packer.functions)
    return Packed(tuple(values), pickled, buffers, packer.tokens, modules, files, functions, packer.has_nans)


def _dumped(values: Mapping[str, Any], namespace: dict[str, Any], bases: frozenset[int], where: str) -> Packer:
    try:
        return packed_by(dict(values), namespace, shared_bases=bases)
    except CellyardError:
        raise
    except Exception as error:
        raise cannot_travel(values, namespace, error, where) from error


def store_packed(packed: Packed, values: Mapping[str, Any], store: Writer, definitions: DefinitionStore) -> Reference:
    """Write a packed group; when this returns, or the batch that ``store`` is has ended, every process can load it."""
    header: dict[str, Any] = {
        "version": VERSION,
        "names": packed.names,
        "modules": packed.modules,
        "definitions": definitions.put(packed.definitions),
        "previews": {name: preview_of(value).to_dict() for name, value in values.items()},
        "size": packed.size,
    }
    if packed.has_nans:
        header["nans"] = True
    if packed.pickle.nbytes > BUFFER_BYTES:
        header["pickle_id"] = store.put(packed.pickle)
    else:
        header["pickle"] = packed.pickle.tobytes()
    header["buffers"] = [(store.put(raw := buffer.raw()), raw.nbytes) for buffer in packed.buffers]
    id = store.put(encode(header))
    previews = {name: Preview.from_dict(p) for name, p in header["previews"].items()}
    tokens, files = tuple(header["definitions"]), tuple(sorted(packed.files))
    return Reference(id, packed.names, packed.size, packed.modules, previews, tokens, files=files)


def pack(values: Mapping[str, Any], namespace: dict[str, Any], store: Store, *, where: str = "") -> list[Reference]:
    """Write values as artifacts, one per alias group; all are pickled before the first is written."""
    sharing = find_sharing(values)
    groups = [{name: values[name] for name in group if name in values} for group in sharing.groups]
    packed = [pack_group(group, namespace, bases=sharing.bases, where=where) for group in groups]
    with writing(store, namespace) as (batch, definitions):
        return [store_packed(one, group, batch, definitions) for one, group in zip(packed, groups, strict=True)]


@contextlib.contextmanager
def writing(store: Store, namespace: dict[str, Any]) -> Iterator[tuple[Writer, DefinitionStore]]:
    """What to give to :func:`store_packed` for any number of groups: all are written when the block has ended."""
    with store.writing() as batch:
        definitions = DefinitionStore(namespace, batch)
        yield batch, definitions
    definitions.remember()


class DefinitionStore:
    """Writes definitions and what they need in turn; plain functions, which cannot have changed, only once, if
    :meth:`remember` was called when they were written."""

    _plain: dict[tuple[str, str], tuple[Any, str, tuple[Any, ...]]] = {}  # noqa: RUF012 - one memory per process

    def __init__(self, namespace: dict[str, Any], store: Writer) -> None:
        self._namespace = namespace
        self._store = store
        self._written: dict[tuple[str, str], tuple[Any, str, tuple[Any, ...]]] = {}

    def remember(self) -> None:
        """All that was put is in the store: plain functions need not be written again."""
        self._plain.update(self._written)

    def put(self, wanted: Mapping[str, Any]) -> dict[str, str]:
        """Token -> object id, for the wanted definitions and all that they need."""
        found: dict[str, str] = {}
        pending = dict(wanted)
        while pending:
            token, definition = pending.popitem()
            if token in found:
                continue
            found[token], needs = self._put_one(token, definition)
            pending.update(needs)
        return found

    def _put_one(self, token: str, definition: Any) -> tuple[str, dict[str, Any]]:
        key = (token, self._store.url)
        known = self._plain.get(key)
        if known is not None and known[0]() is definition and known[2] == _plain_state(definition):
            return known[1], {}
        try:
            packer = packed_by(definition, self._namespace, defining=definition)
        except CellyardError:
            raise
        except Exception as error:
            raise cannot_travel({definition.__qualname__: definition}, self._namespace, error, "") from error
        id = self._store.put(_as_definition(packer))
        state = _plain_state(definition)
        if state is not None and not packer.tokens:
            self._written[key] = (weakref.ref(definition), id, state)
        return id, packer.tokens


def _plain_state(definition: Any) -> tuple[Any, ...] | None:
    """What could change a function; None for anything that holds mutable state."""
    if type(definition) is not types.FunctionType or definition.__closure__ or definition.__dict__:
        return None
    if definition.__defaults__ or definition.__kwdefaults__:
        return None
    return (id(definition.__code__), len(definition.__annotations__))


def _as_definition(packer: Packer) -> bytes:
    """A definition as an object: its pickle with all buffers beside it."""
    buffers = [buffer.raw().tobytes() for buffer in packer.buffers]
    return encode([packer.file.getvalue(), buffers, *([True] if packer.has_nans else [])])


def _loads_definition(data: bytes) -> Any:
    content, buffers, *has_nans = decode(data)
    loads = loads_with_nans if has_nans else pickle.loads
    return loads(content, buffers=[bytearray(buffer) for buffer in buffers])


def prefetch(store: Store, references: Iterable[Mapping[str, Any]]) -> None:
    """Have all objects of artifacts at hand, in two rounds of requests: what they are, then what they consist of."""
    if store.is_far:
        ids = [each["id"] for each in references]
        store.prefetch((id, None) for id in ids)
        store.prefetch(part for id in ids for part in _parts(decode(store.read(id))))


def _parts(header: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    yield from ((id, size) for id, size in header["buffers"])
    yield from ((id, None) for id in header["definitions"].values())
    if "pickle_id" in header:
        yield header["pickle_id"], None


def load(store: Store, reference: Mapping[str, Any], namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """The values of an artifact by name. ``reference`` is a :class:`Reference` as a dictionary.

    Buffers are mapped private and copy-on-write: loading costs no copy, and changes never reach the store. Functions of
    the notebook get ``namespace`` as their globals. Raises :class:`~cellyard.errors.CannotTravel` where code of the
    values' own classes, which runs as they are made, fails, and ArtifactMissing, naming whose value it is. ``made_by``
    of the reference, if it has one, says where that was made.
    """
    try:
        return _loaded(store, reference, namespace)
    except ArtifactMissing as error:
        names = ", ".join(repr(name) for name in reference.get("names", ()) if not is_held(name))
        if not names:
            raise
        whose = f"the value of {names}{reference.get('made_by', '')} is gone: "
        hint = "Execute the cell that made it again."
        raise ArtifactMissing(**{**error.fields, "whose": whose, "hint": hint}) from error


def _loaded(store: Store, reference: Mapping[str, Any], namespace: dict[str, Any] | None) -> dict[str, Any]:
    header = decode(store.read(reference["id"]))
    store.prefetch(_parts(header))
    content = header["pickle"] if "pickle" in header else store.read(header["pickle_id"])
    buffers = [store.map(id, size) for id, size in header["buffers"]]
    context = Context({} if namespace is None else namespace, header["definitions"], store.read, _loads_definition)
    with loading(context), not_drawn(), _no_collection():
        return _opened(
            reference, lambda: (loads_with_nans if "nans" in header else pickle.loads)(content, buffers=buffers)
        )


def _opened(reference: Mapping[str, Any], loads: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        values = loads()
    except (CellyardError, ImportError, MemoryError):
        raise
    except Exception as error:
        names = list(reference["names"])
        kinds = {each.get("type", "") for each in reference.get("previews", {}).values()}
        raise CannotTravel(
            name=", ".join(names),
            type=", ".join(sorted(kinds)) or "?",
            reason=f"it cannot be opened where it arrives: {type(error).__name__}: {error}.",
            hint="Give its class a __reduce__ that tells how to make it, or make it in the cell that uses it.",
            where="",
            path=names[0] if names else "?",
        ) from error
    return values


def read_previews(store: Store, id: str) -> Reference:
    """The reference of an artifact of which only the id is known."""
    header = decode(store.read(id))
    previews = {name: Preview.from_dict(p) for name, p in header["previews"].items()}
    modules, tokens = tuple(header["modules"]), tuple(header["definitions"])
    return Reference(id, tuple(header["names"]), header["size"], modules, previews, tokens)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Unpickling makes many objects and no garbage: collecting meanwhile doubles its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
