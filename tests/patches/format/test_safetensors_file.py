"""Delta files: written reproducibly, and never read in a way that safetensors would not."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from weightpatch.patches.errors import FormatError, InputError, NameRefused, SizeMismatch
from weightpatch.patches.format.safetensors_file import (
    CHECKPOINT,
    DELTA,
    read_header,
    read_tensors,
    write_tensors,
)

DTYPES = ["<f8", "<f4", "<f2", "<i8", "<i4"]


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)


names = st.text("abcdw._:/-0123", min_size=1, max_size=12).filter(
    lambda name: not name.startswith("/") and ".." not in name
)
contents = st.dictionaries(names, arrays(), min_size=1, max_size=5)
metadata = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file that the examples of a property write again and again."""
    return tmp_path_factory.mktemp("delta") / "delta.safetensors"


def raw(tensors: dict[str, NDArray[Any]]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {
        name: (array.dtype.str, array.shape, array.tobytes()) for name, array in tensors.items()
    }


def read_by_library(path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...], bytes]], Any]:
    with safetensors.safe_open(path, "numpy") as file:
        found = file.metadata()
    return raw(safetensors.numpy.load(path.read_bytes())), found or {}


@settings(deadline=None)  # a disk may take its time to flush
@given(tensors=contents, note=metadata)
def test_what_is_written_is_read_back_by_us_and_by_safetensors(
    path: Path, tensors: dict[str, NDArray[Any]], note: str | None
) -> None:
    write_tensors(path, tensors, note)
    found, found_metadata = read_tensors(path)
    assert raw(found) == raw(tensors)
    assert found_metadata == ({} if note is None else {"weightpatch": note})
    assert read_by_library(path) == (raw(found), found_metadata)


@settings(deadline=None)
@given(tensors=contents, note=metadata, order=st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_order_or_layout_given(
    path: Path, tensors: dict[str, NDArray[Any]], note: str | None, order: Any
) -> None:
    write_tensors(path, tensors, note)
    before = path.read_bytes()
    shuffled = list(tensors.items())
    order.shuffle(shuffled)
    write_tensors(path, {name: np.asfortranarray(array) for name, array in shuffled}, note)
    assert path.read_bytes() == before
    big_endian = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in shuffled}
    write_tensors(path, big_endian, note)
    assert path.read_bytes() == before


@settings(deadline=None)
@given(tensors=contents)
def test_every_tensor_is_aligned_to_its_type(path: Path, tensors: dict[str, NDArray[Any]]) -> None:
    write_tensors(path, tensors)
    with path.open("rb") as file:
        header = read_header(file)
    for name, record in header.tensors.items():
        assert record.start % tensors[name].itemsize == 0


def container(header: str, data: bytes) -> bytes:
    text = header.encode()
    return len(text).to_bytes(8, "little") + text + data


def test_the_bytes_are_these(tmp_path: Path) -> None:
    path = tmp_path / "delta.safetensors"
    write_tensors(
        path,
        {
            "w::lowrank.0.B": np.array([[3, 4]], "<f4"),
            "w::lowrank.0.A": np.array([[1], [2]], "<f4"),
            "w::aux.count": np.array([7], "<i8"),
        },
        'café "1"',
    )
    header = (
        r'{"__metadata__":{"weightpatch":"café \"1\""},'
        r'"w::aux.count":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},'
        r'"w::lowrank.0.A":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},'
        r'"w::lowrank.0.B":{"dtype":"F32","shape":[1,2],"data_offsets":[16,24]}}'
    )
    padding = " " * (-len(header.encode()) % 8)
    data = np.array([7], "<i8").tobytes() + np.array([1, 2, 3, 4], "<f4").tobytes()
    assert path.read_bytes() == container(header + padding, data)
    assert len(padding) == 7


def test_an_array_that_is_every_second_entry_of_another_is_written(tmp_path: Path) -> None:
    path = tmp_path / "delta.safetensors"
    write_tensors(path, {"w": np.arange(6, dtype=np.float32)[::2]})
    assert read_tensors(path)[0]["w"].tolist() == [0, 2, 4]


def test_arrays_that_were_read_cannot_be_written_to(tmp_path: Path) -> None:
    write_tensors(tmp_path / "delta.safetensors", {"w": np.ones(2, np.float32)})
    tensors, _ = read_tensors(tmp_path / "delta.safetensors")
    with pytest.raises(ValueError, match="read-only"):
        tensors["w"][0] = 2
    assert tensors["w"].flags.owndata


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({}, FormatError),
        ({"w": np.ones(2, np.uint8)}, FormatError),
        ({"w": np.ones(2, np.bool_)}, FormatError),
        ({"w": np.ones((), np.float32)}, FormatError),
        ({"w": np.ones((2, 0), np.float32)}, FormatError),
        ({"w": np.ones((1,) * 9, np.float32)}, FormatError),
        ({"__metadata__": np.ones(2, np.float32)}, FormatError),
        ({"../w": np.ones(2, np.float32)}, NameRefused),
        ({"\ud800": np.ones(2, np.float32)}, InputError),
        ({"w": np.ones(2, np.float32), "W": np.ones(2, np.float32)}, NameRefused),
        ({f"w{i}": np.ones(1, np.float32) for i in range(DELTA.tensors + 1)}, FormatError),
    ],
)
def test_what_would_not_be_read_is_not_written(
    tensors: dict[str, NDArray[Any]], error: type[InputError], tmp_path: Path
) -> None:
    with pytest.raises(error):
        write_tensors(tmp_path / "delta.safetensors", tensors)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("note", ["x" * DELTA.metadata_bytes, "\ud800"])
def test_metadata_that_would_not_be_read_is_not_written(note: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        write_tensors(tmp_path / "delta.safetensors", {"w": np.ones(2, np.float32)}, note)
    assert list(tmp_path.iterdir()) == []


class _Shrinking(io.FileIO):
    """A file that somebody cuts short as soon as its beginning has been read."""

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        os.truncate(self.name, 1000)
        return count


class _ShrinkingPath(type(Path())):  # type: ignore[misc]
    def open(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Shrinking(str(self)))


def test_a_file_cut_short_while_it_is_read_gives_an_error(tmp_path: Path) -> None:
    path = _ShrinkingPath(tmp_path / "delta.safetensors")
    write_tensors(Path(path), {"w": np.ones(100_000, np.float32)})
    with pytest.raises(SizeMismatch, match="became shorter"):
        read_tensors(path)


def accepted_only_if_safetensors_agrees(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        tensors, found = read_tensors(path)
    except (FormatError, NameRefused):
        return False
    assert read_by_library(path) == (raw(tensors), found)
    return True


def small_file(path: Path) -> bytes:
    write_tensors(
        path,
        {"w::lowrank.0.A": np.ones((2, 1), "<f4"), "w::lowrank.0.B": np.ones((1, 2), "<f4")},
        "note",
    )
    return path.read_bytes()


def test_no_flipped_bit_in_the_header_is_read_otherwise_than_by_safetensors(path: Path) -> None:
    good = small_file(path)
    end = 8 + int.from_bytes(good[:8], "little")
    accepted = 0
    for bit in range(8 * end):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        accepted += accepted_only_if_safetensors_agrees(path, bytes(content))
    # Some flips rename a tensor, or swap the sides of its shape: only the digest sees those.
    assert 0 < accepted < 8 * end / 4


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """A change of some bytes: overwritten, removed, inserted or repeated."""
    position = draw(st.floats(0, 1, exclude_max=True))
    removed = draw(st.integers(0, 9))
    inserted = draw(
        st.binary(max_size=9)
        | st.sampled_from(
            [b"0", b"-", b".0", b"e1", b"null", b"true", b"[", b"{", b'"', b" ", b","]
        )
    )

    def change(content: bytes) -> bytes:
        start = int(position * len(content))
        return content[:start] + inserted + content[start + removed :]

    return change


@settings(deadline=None)
@given(tensors=contents, note=metadata, change=mutations())
def test_a_damaged_file_is_refused_or_means_what_safetensors_says(
    path: Path, tensors: dict[str, NDArray[Any]], note: str | None, change: Any
) -> None:
    write_tensors(path, tensors, note)
    accepted_only_if_safetensors_agrees(path, change(path.read_bytes()))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 20)
    | st.integers()
    | st.floats()
    | st.sampled_from([*DELTA.dtypes, "BF16", "shape", "w", "\ud800", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "x"]), inner
        )
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    key=st.sampled_from(["__metadata__", "w::lowrank.0.A", "w::lowrank.0.B"]),
    field=st.sampled_from([None, "dtype", "shape", "data_offsets", "weightpatch"]),
    value=json_values,
)
def test_a_damaged_header_is_refused_or_means_what_safetensors_says(
    path: Path, key: str, field: str | None, value: Any
) -> None:
    good = small_file(path)
    end = 8 + int.from_bytes(good[:8], "little")
    header = json.loads(good[8:end])
    if field is None:
        header[key] = value
    else:
        header[key][field] = value
    text = json.dumps(header).encode()
    accepted_only_if_safetensors_agrees(path, len(text).to_bytes(8, "little") + text + good[end:])


def test_a_checkpoint_written_by_safetensors_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors: dict[str, NDArray[Any]] = {
        "embed": np.ones((3, 2), np.float16),
        "scale": np.ones((), np.float32),
        "empty": np.ones((0, 4), np.float64),
        "mask weird \u00e9": np.ones(5, np.bool_),
    }
    safetensors.numpy.save_file(tensors, path, {"format": "pt", "step": "7"})
    with path.open("rb") as file:
        header = read_header(file, CHECKPOINT, what="model.safetensors")
    assert header.metadata == {"format": "pt", "step": "7"}
    assert {name: record.shape for name, record in header.tensors.items()} == {
        name: array.shape for name, array in tensors.items()
    }
    content = path.read_bytes()
    for name, record in header.tensors.items():
        assert content[record.start : record.stop] == tensors[name].tobytes()


def test_the_tensors_of_a_header_are_in_the_order_of_their_bytes() -> None:
    header = (
        '{"c":{"dtype":"I8","shape":[2],"data_offsets":[3,5]},'
        '"b":{"dtype":"I8","shape":[3],"data_offsets":[0,3]},'
        '"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}'
    )
    content = container(header, bytes(5))
    assert list(read_header(io.BytesIO(content), CHECKPOINT).tensors) == ["a", "b", "c"]
    assert accepted_as_checkpoint(content)


def accepted_as_checkpoint(content: bytes) -> bool:
    try:
        header = read_header(io.BytesIO(content), CHECKPOINT)
    except FormatError:
        return False
    found = dict(safetensors.deserialize(content))  # type: ignore[no-untyped-call]
    assert {
        name: (t["dtype"], tuple(t["shape"]), bytes(t["data"])) for name, t in found.items()
    } == {
        name: (record.dtype, record.shape, content[record.start : record.stop])
        for name, record in header.tensors.items()
    }
    return True


CHECKPOINT_FILE = safetensors.numpy.save(
    {
        "é": np.ones((), np.float32),
        "none": np.ones((0, 2), np.float64),
        "m": np.ones(3, np.int8),
    },
    {"format": "pt"},
)


def test_no_flipped_bit_in_a_checkpoint_is_read_otherwise_than_by_safetensors() -> None:
    accepted = 0
    for bit in range(8 * len(CHECKPOINT_FILE)):
        content = bytearray(CHECKPOINT_FILE)
        content[bit // 8] ^= 1 << bit % 8
        accepted += accepted_as_checkpoint(bytes(content))
    assert 0 < accepted < 8 * len(CHECKPOINT_FILE) / 2


@given(change=mutations())
def test_a_damaged_checkpoint_is_refused_or_means_what_safetensors_says(change: Any) -> None:
    accepted_as_checkpoint(change(CHECKPOINT_FILE))


def test_a_name_of_half_a_character_is_refused_in_a_checkpoint_too() -> None:
    header = r'{"\ud800":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}'
    with pytest.raises(FormatError, match="surrogates"):
        read_header(io.BytesIO(container(header, b"x")), CHECKPOINT)


def test_an_empty_checkpoint_shard_is_read() -> None:
    header = read_header(io.BytesIO((2).to_bytes(8, "little") + b"{}"), CHECKPOINT)
    assert header.tensors == {}
