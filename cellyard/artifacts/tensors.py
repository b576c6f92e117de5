"""Tensors of PyTorch on their way: their memory is a buffer of its own, which all that show it go on sharing.

torch is never imported here; it is looked up where a value of it is at hand. A tensor that was computed from others
that require gradients travels as its value alone: the graph that leads to it belongs to its process. What is not laid
out in plain memory (sparse, quantized, on another device) travels as torch itself has it pickled.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
import weakref
from collections.abc import Iterator
from typing import Any

from cellyard.artifacts.members import find_only

__all__ = ["bytes_of", "content_of", "is_plain", "is_tensor", "parts_of", "reduce_of_torch"]

_NAMED = ("layout", "memory_format", "qscheme")
"""Types of constants that pickle does not know."""


def is_tensor(kind: type) -> bool:
    """Whether instances of that type are tensors, be it a class of the notebook."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and issubclass(kind, tensor)


def parts_of(tensor: Any) -> Iterator[Any]:
    """What a tensor leads to that can change: its memory, its gradient, hooks, own attributes. Of a handle, which
    refers to it weakly, the dictionary that it would remove a hook from."""
    torch = sys.modules["torch"]
    if not isinstance(tensor, torch.Tensor):
        yield from tensor.__getstate__()
        return
    with torch._C.DisableTorchFunctionSubclass():
        if is_plain(tensor):
            yield tensor.untyped_storage()
        elif tensor.layout is torch.sparse_coo:
            yield from (tensor._indices(), tensor._values())
        yield from (part for part in _beside(tensor) if part is not None)


def bytes_of(storage: Any) -> Any:
    """The memory of a storage, which lives as long as what is returned."""
    found: Any = (ctypes.c_ubyte * storage.nbytes()).from_address(storage.data_ptr())
    found.storage = storage
    return found


def content_of(tensor: Any) -> Any:
    """The elements of a plain tensor in their order, as bytes."""
    whole = tensor.detach().resolve_conj().resolve_neg().contiguous()
    if not whole.numel():
        return b""
    begin = whole.storage_offset() * whole.element_size()
    return pickle.PickleBuffer(bytes_of(whole.untyped_storage())).raw()[begin : begin + whole.nbytes]


def reduce_of_torch(obj: Any, kind: type) -> Any:
    """The reduction of what torch itself would not pickle so that it means the same; else NotImplemented."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "optim"):  # it is being imported
        return NotImplemented
    if issubclass(kind, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            return _reduce_tensor(obj, kind)
    if issubclass(kind, torch.optim.Optimizer) and kind.__getstate__ is torch.optim.Optimizer.__getstate__:
        return _new_optimizer, (kind,), vars(obj), None, None, _fill_optimizer
    if kind is weakref.ref:
        made = obj()  # which is held by itself
        return (weakref.ref, (made,)) if isinstance(made, torch.optim.Optimizer) else NotImplemented
    return _reduce_part(obj, kind) if kind.__module__ in {"torch", "torch.storage"} else NotImplemented


def _reduce_part(obj: Any, kind: type) -> Any:
    torch = sys.modules["torch"]
    if kind.__name__ in _NAMED:
        return find_only, ("torch", str(obj).removeprefix("torch."))
    if kind is torch.UntypedStorage and obj.device.type == "cpu":
        return _rebuild_storage, (kind, pickle.PickleBuffer(bytes_of(obj)) if obj.nbytes() else bytearray())
    if kind is torch.TypedStorage and obj.device.type == "cpu":
        return _rebuild_typed, (kind, obj._untyped_storage, obj.dtype)
    return NotImplemented


def _reduce_tensor(tensor: Any, kind: type) -> Any:
    if not is_plain(tensor):
        return NotImplemented if tensor.is_leaf else tensor.detach().__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    form = (tensor.dtype, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    bits = (tensor.requires_grad and tensor.is_leaf, tensor.is_conj(), tensor.is_neg())
    beside = _beside(tensor)
    state = beside if any(part is not None for part in beside) else None
    return _rebuild_tensor, (kind, tensor.untyped_storage(), form, bits), state, None, None, _fill_tensor


def is_plain(tensor: Any) -> bool:
    """Whether it shows plain memory, in a way that its class has no say in."""
    torch = sys.modules["torch"]
    kind = type(tensor)
    own = kind.__reduce_ex__ not in {torch.Tensor.__reduce_ex__, torch.nn.Parameter.__reduce_ex__}
    if own or kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__ or tensor.layout is not torch.strided:
        return False
    return tensor.device.type == "cpu" and not tensor.is_quantized and not tensor.is_nested


def _beside(tensor: Any) -> tuple[Any, ...]:
    """Attributes, gradient and hooks, where it has any. Asking others for their gradient would be a warning."""
    attributes = vars(tensor) or None
    if not tensor.is_leaf:
        return attributes, tensor.grad if tensor.retains_grad else None, None, None
    return attributes, tensor.grad, tensor._backward_hooks or None, tensor._post_accumulate_grad_hooks or None


def _new_optimizer(kind: Any) -> Any:
    """One without content, whose class is ready: what follows may refer to its methods."""
    made = kind.__new__(kind)
    made.__setstate__({"defaults": {}, "state": {}, "param_groups": []})
    return made


def _fill_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Also with its hooks, and with how a scheduler watches it."""
    optimizer.__setstate__(state)


def _rebuild_storage(kind: Any, buffer: Any) -> Any:
    """A storage over mapped memory; a small one has its own, and can grow."""
    torch = sys.modules["torch"]
    if not len(buffer):
        return kind(0)
    shown = torch.frombuffer(buffer, dtype=torch.uint8)
    return (shown.clone() if isinstance(buffer, bytearray) else shown).untyped_storage()


def _rebuild_typed(kind: Any, storage: Any, dtype: Any) -> Any:
    return kind(wrap_storage=storage, dtype=dtype, _internal=True)


def _rebuild_tensor(kind: Any, storage: Any, form: tuple[Any, ...], bits: tuple[bool, bool, bool]) -> Any:
    """A tensor that shows that storage."""
    torch = sys.modules["torch"]
    dtype, *place = form
    requires_grad, is_conjugate, is_negative = bits
    made = torch.empty(0, dtype=dtype, device="cpu").set_(storage, *place)
    if is_conjugate:
        made = made.conj()
    if is_negative:
        made = torch._neg_view(made)
    if kind is torch.Tensor:
        return made.requires_grad_() if requires_grad else made
    return torch.Tensor._make_subclass(kind, made, requires_grad)


def _fill_tensor(tensor: Any, state: tuple[Any, ...]) -> None:
    attributes, gradient, hooks, later_hooks = state
    vars(tensor).update(attributes or {})
    if gradient is not None:
        tensor.grad = gradient
    if hooks is not None:
        tensor._backward_hooks = hooks
    if later_hooks is not None:
        tensor._post_accumulate_grad_hooks = later_hooks
