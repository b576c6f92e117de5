"""Tensors, modules and optimizers of PyTorch through the store: values, memory, gradients, what they share."""

from __future__ import annotations

import importlib
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.canonical import canonical_digest
from cellyard.artifacts.changes import LoadedGroup
from cellyard.artifacts.previews import preview_of
from cellyard.artifacts.sharing import alias_groups
from cellyard.artifacts.store import open_store
from cellyard.exporters.likeness import likeness

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def torch() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("torch")


def travelled(store: Path, **values: Any) -> dict[str, Any]:
    at = open_store(str(store))
    return {name: value for one in pack(values, values, at) for name, value in load(at, one.to_dict(), {}).items()}


def kinds(torch: Any) -> dict[str, Any]:
    """Tensors of many kinds."""
    types = ("float64", "float32", "float16", "bfloat16", "int8", "int64", "uint8", "bool", "complex64", "complex128")
    numbers = torch.tensor([1 + 2j, 3 - 1j])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = torch.eye(3).to_sparse_csr()
        quantized = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    return {
        **{name: torch.ones(2, 3).to(getattr(torch, name)) for name in types},
        "scalar": torch.tensor(5),
        "empty": torch.empty(0, 3),
        "expanded": torch.zeros(3).expand(4, 3),
        "a slice": torch.arange(10)[2:8:2],
        "turned": torch.arange(6).reshape(2, 3).T,
        "conjugate": numbers.conj(),
        "negative": numbers.conj().imag,
        "large": torch.arange(40_000),
        "with gradients": torch.ones(2, requires_grad=True),
        "parameter": torch.nn.Parameter(torch.ones(2), requires_grad=False),
        "buffer": torch.nn.Buffer(torch.ones(2)),
        "sparse": torch.eye(3).to_sparse(),
        "sparse rows": rows,
        "quantized": quantized,
        "without memory": torch.empty(3, device="meta"),
    }


def test_tensors_of_every_kind_arrive_as_they_were(torch: Any, tmp_path: Path) -> None:
    values = {name.replace(" ", "_"): value for name, value in kinds(torch).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch finds some of them new, others old
        found = travelled(tmp_path, **values)
    for name, value in values.items():
        made = found[name]
        assert (type(made), made.dtype, made.shape, made.layout) == (
            type(value), value.dtype, value.shape, value.layout,
        ), name  # fmt: skip
        assert (made.device, made.requires_grad, repr(made)) == (value.device, value.requires_grad, repr(value)), name
        if value.layout is torch.strided:
            assert (made.stride(), made.storage_offset()) == (value.stride(), value.storage_offset()), name


def test_tensors_of_one_memory_go_on_sharing_it(torch: Any, tmp_path: Path) -> None:
    x = torch.zeros(200, 300)
    values = {"x": x, "row": x[1], "turned": x.T, "inside": {"w": [x[:, :2]]}}
    assert alias_groups({**values, "apart": torch.zeros(200, 300)}) == (("x", "row", "turned", "inside"), ("apart",))
    found = travelled(tmp_path, **values)
    found["x"][1, 0] = 9
    assert found["row"][0] == found["turned"][0, 1] == found["inside"]["w"][0][1, 0] == 9
    assert x[1, 0] == 0


def test_an_optimizer_goes_on_changing_the_module(torch: Any, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 400), torch.nn.ReLU(), torch.nn.Linear(400, 1))
    optimizer = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.register_step_post_hook(lambda *_: None)
    net(torch.ones(2, 3)).sum().backward()
    found = travelled(tmp_path, net=net, optimizer=optimizer, schedule=schedule, state=net.state_dict())
    weight = found["net"][0].weight
    before = weight.detach().clone()
    assert weight.is_leaf
    assert torch.equal(weight.grad, net[0].weight.grad)
    found["optimizer"].step()
    found["schedule"].step()  # a warning, hence an error, if it were another optimizer, or one that it does not watch
    optimizer.step()
    schedule.step()
    assert not torch.equal(before, weight)
    assert torch.equal(weight, net[0].weight)
    assert torch.equal(found["state"]["0.weight"], weight)
    assert found["state"]["0.weight"].data_ptr() == weight.data_ptr()
    assert found["optimizer"].param_groups[0]["params"][0] is weight
    assert len(found["optimizer"]._optimizer_step_post_hooks) == 1


def test_what_was_computed_with_gradients_travels_as_its_value(torch: Any, tmp_path: Path) -> None:
    weight = torch.ones(3, requires_grad=True)
    loss = (weight * 2).sum()
    made = travelled(tmp_path, loss=loss)["loss"]
    assert made.item() == 6
    assert not made.requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        made.backward()


def test_hooks_and_attributes_stay(torch: Any, tmp_path: Path) -> None:
    seen: list[float] = []

    def hook(gradient: Any) -> None:
        seen.append(float(gradient.sum()))

    weight = torch.ones(2, requires_grad=True)
    weight.register_hook(hook)
    weight.note = ["own"]
    found = travelled(tmp_path, weight=weight, seen=seen)
    assert found["weight"].note == ["own"]
    (found["weight"] * 3).sum().backward()
    assert found["seen"] == [6.0]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_change_is_seen_and_a_mere_read_is_not(torch: Any, tmp_path: Path, size: int) -> None:
    store, values = open_store(str(tmp_path)), {"x": torch.zeros(size), "net": torch.nn.Linear(size, 1)}
    values["row"] = values["x"][:2]
    for reference in pack(values, values, store):
        loaded = load(store, reference.to_dict(), {})
        group = LoadedGroup(reference.to_dict(), loaded, store, loaded)
        for value in loaded.values():
            repr(value)
        assert not group.changed()
        if "row" in loaded:
            loaded["row"][0] = 1
        else:
            with torch.no_grad():
                loaded["net"].bias.add_(1)
        assert group.changed()


def test_an_unchanged_tensor_is_neither_copied_nor_written_again(torch: Any, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    [reference] = pack({"x": torch.ones(16 << 20)}, {}, store)
    began = time.perf_counter()
    found = load(store, reference.to_dict())
    assert time.perf_counter() - began < 0.5, "64 MiB were copied"
    files = {each for each in tmp_path.rglob("*") if each.is_file()}
    [again] = pack(found, {}, store)
    assert again.id == reference.id
    assert {each for each in tmp_path.rglob("*") if each.is_file()} == files


def test_a_tensor_made_again_has_the_same_digest(torch: Any) -> None:
    for name, value in kinds(torch).items():
        if value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized:
            assert canonical_digest({"x": value}) == canonical_digest({"x": kinds(torch)[name]}) is not None, name
    whole = torch.arange(12.0).reshape(3, 4)
    assert canonical_digest(whole[1]) == canonical_digest(torch.arange(4.0) + 4)
    assert canonical_digest(whole) != canonical_digest(whole + 1)
    assert canonical_digest(torch.ones(2)) != canonical_digest(torch.ones(2, dtype=torch.float64))
    torch.manual_seed(0)
    one = torch.nn.Linear(3, 2)
    torch.manual_seed(0)
    assert canonical_digest(torch.nn.Linear(3, 2)) == canonical_digest(one) is not None


def test_a_preview_says_shape_type_and_size(torch: Any) -> None:
    made = preview_of(torch.zeros(1 << 14, 1 << 8))
    assert (made.type, made.shape) == ("torch.Tensor", "16,384 × 256 torch.float32, 16.0 MiB")
    assert made.text.startswith("tensor([[0., 0.")
    assert preview_of(torch.ones(1, requires_grad=True) * 2).text == "tensor([2.])"


def test_tensors_are_compared_by_content_with_a_tolerance(torch: Any) -> None:
    x = torch.tensor([1.0, 2.0])
    assert likeness(x, x.clone()).kind == "equal"
    assert likeness(x, x * (1 + 1e-7)).kind == "close"
    assert likeness(x, x + 0.1).kind == "different"
    assert likeness(x, x.double()).kind == "different"
    assert likeness(x.bfloat16(), x.bfloat16() * (1 + 2**-7)).kind == "close"
    assert likeness(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)).kind == "different"
