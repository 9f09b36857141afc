"""Files that a reader of deltas must refuse, by their codes, each with its error."""

import gzip
import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches.errors import FormatError, InputError, NameRefused
from weightpatch.patches.format.safetensors_file import (
    CHECKPOINT,
    DELTA,
    Limits,
    read_header,
    read_tensors,
)

NAME = "w::dense.0.delta"
DATA = np.arange(4, dtype="<f4").tobytes()
HUGE = 2**62


def container(header: str | bytes, data: bytes = DATA, length: int | None = None) -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def record(
    name: str = NAME, dtype: str = '"F32"', shape: str = "[2,2]", offsets: str = "[0,16]"
) -> str:
    return f'{json.dumps(name)}:{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}'


def one(**fields: str) -> bytes:
    return container("{" + record(**fields) + "}")


def several(*records: str, data: bytes = DATA) -> bytes:
    return container("{" + ",".join(records) + "}", data)


def annotated(metadata: str) -> bytes:
    return several(f'"__metadata__":{metadata}', record())


def fields(text: str) -> bytes:
    return container(f'{{"{NAME}":{{{text}}}}}')


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return stream.getvalue()


GOOD_HEADER = "{" + record() + "}"
GOOD = container(GOOD_HEADER)
POINTER = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 12345
"""

HEADERS = {
    "H01": (b"", "only 0 bytes"),
    "H02": (GOOD[:7], "only 7 bytes"),
    "H03": (container(GOOD_HEADER, length=0), "malformed"),
    "H04": (container(GOOD_HEADER, length=2**64 - 1), "more than 8388608"),
    "H05": (container(GOOD_HEADER, length=2**63), "more than 8388608"),
    "H06": (container(GOOD_HEADER.ljust(DELTA.header_bytes + 1)), "more than 8388608"),
    "H07": (container(GOOD_HEADER, length=len(GOOD) - 7), "follow"),
    "H08": (len(GOOD_HEADER).to_bytes(8, "big") + GOOD[8:], "more than 8388608"),
    "H09": (container(b'{"\xff":1}'), "malformed"),
    "H10": (container('{"w":'), "malformed"),
    "H11": (container("[]"), "does not begin with {"),
    "H12": (container('"w"'), "does not begin with {"),
    "H13": (container("null"), "does not begin with {"),
    "H14": (container(GOOD_HEADER + "x"), "malformed"),
    "H14-NUL": (container(GOOD_HEADER + "\0"), "malformed"),
    "H15": (container(GOOD_HEADER * 2), "malformed"),
    "H16-space": (container(" " + GOOD_HEADER), "does not begin with {"),
    "H16-NUL": (container("\0" + GOOD_HEADER), "does not begin with {"),
    "H17": (container("\ufeff" + GOOD_HEADER), "does not begin with {"),
    "H18": (container('{"w":' + "[" * 5000 + "]" * 5000 + "}"), "malformed"),
    "H19": (one(shape="[NaN]"), "NaN is not an integer"),
    "H20": (GOOD[:-1], "the file at"),
    "H21-trailing": (GOOD + b"\0", "the file at"),
    "H21-zip": (GOOD + zipped(), "the file at"),
    "H22": (container("{}", b""), "no tensors"),
    "H22-metadata": (container('{"__metadata__":{}}', b""), "no tensors"),
    "H24-zip": (zipped(), "a zip archive"),
    "H24-gzip": (gzip.compress(GOOD, mtime=0), "a gzip archive"),
    "H24-pickle": (pickle.dumps({"w": [1.0]}, protocol=2), "a pickle"),
    "H24-lfs": (POINTER, "a Git LFS pointer"),
    "H24-html": (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
    "H24-json": (b'{"error":"Repository not found"}', "a JSON text"),
    "H24-gguf": (b"GGUF\x03\0\0\0" + bytes(64), "a GGUF model"),
    "H24-zstd": (b"\x28\xb5\x2f\xfd\x04\x00\x01\x02\x03", "a zstd archive"),
}

METADATA = {
    "M01-list": (annotated("[]"), "__metadata__ .* not a JSON object"),
    "M01-string": (annotated('"x"'), "__metadata__ .* not a JSON object"),
    "M02": (annotated("null"), "__metadata__ .* not a JSON object"),
    "M03": (annotated('{"weightpatch":1}'), "not a string"),
    "M03-null": (annotated('{"weightpatch":null}'), "not a string"),
    "M04": (annotated('{"weightpatch":{"a":"b"}}'), "not a string"),
    "M05": (annotated('{"base":"good","base":"evil"}'), "'base' stands twice"),
    "M06": (
        several('"__metadata__":{"a":"b"}', '"__metadata__":{"a":"c"}', record()),
        "'__metadata__' stands twice",
    ),
    "M07": (annotated(json.dumps({"k": "v" * DELTA.metadata_bytes})), "larger than 65536"),
    "M-surrogate": (annotated(r'{"k":"\ud800"}'), "half a character"),
}

TENSORS = {
    "T01": (several(record(), record(dtype='"I32"')), "stands twice"),
    "T02": (
        several(record(), record().replace("delta", r"del\u0074a")),
        "stands twice",
    ),
    "T03": (
        fields('"dtype":"F32","dtype":"I32","shape":[4],"data_offsets":[0,16]'),
        "'dtype' stands twice",
    ),
    "T04": (fields('"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1'), "nothing else"),
    "T05": (fields('"shape":[4],"data_offsets":[0,16]'), "must have dtype"),
    "T06": (fields('"dtype":"F32","data_offsets":[0,16]'), "must have dtype"),
    "T07": (fields('"dtype":"F32","shape":[4]'), "must have dtype"),
    "T07-list": (container(f'{{"{NAME}":["F32",[4],[0,16]]}}'), "must have dtype"),
    "T08": (one(dtype='"F33"'), "the type 'F33'"),
    "T08-list": (one(dtype='["F32"]'), "the type"),
    "T09": (one(dtype='"f32"'), "the type 'f32'"),
    "T10-F4": (one(dtype='"F4"', shape="[32]"), "the type 'F4'"),
    "T10-F6": (one(dtype='"F6_E2M3"', shape="[16,1]"), "the type 'F6_E2M3'"),
    "T10-F8": (one(dtype='"F8_E4M3"', shape="[16]"), "the type 'F8_E4M3'"),
    "T10-C64": (one(dtype='"C64"', shape="[2]"), "the type 'C64'"),
    "T10-U16": (one(dtype='"U16"', shape="[8]"), "the type 'U16'"),
    "T11": (one(shape="[-2,-2]"), "none negative"),
    "T12": (one(shape="[2.0,2]"), "2.0 is not an integer"),
    "T12-exponent": (one(shape="[2e0,2]"), "2e0 is not an integer"),
    "T13": (one(shape="[true,4]"), "list of integers"),
    "T14": (one(shape='["2",2]'), "list of integers"),
    "T14-number": (one(shape="4"), "list of integers"),
    "T15": (several(record(shape="[]", offsets="[0,4]"), data=DATA[:4]), "scalar or empty"),
    "T16": (one(shape=f"[{HUGE},{HUGE}]"), "too large"),
    "T16-digits": (one(shape=f"[{'9' * 5000}]"), "not a size"),
    "T17": (one(shape=f"[0,{HUGE},{HUGE}]", offsets="[0,0]"), "too large"),
    "T18": (several(record(shape="[2,0]", offsets="[0,0]"), data=b""), "scalar or empty"),
    "T19": (one(shape="[4,1,1,1,1,1,1,1,1]"), "9 dimensions"),
    "T20": (one(shape="[2,3]"), "takes 24"),
    "T21": (one(offsets="[-16,0]"), "none negative"),
    "T21-zero": (one(offsets="[-0,16]"), "-0 is not a size"),
    "T22": (one(offsets="[16,0]"), "takes 16"),
    "T23": (one(shape="[4,2]", offsets="[0,32]"), "the file at"),
    "T24": (one(shape="[2]", offsets="[8,16]"), "a hole before"),
    "T25": (
        several(
            record("a", shape="[1]", offsets="[0,4]"), record("b", shape="[2]", offsets="[8,16]")
        ),
        "a hole before tensor 'b'",
    ),
    "T26": (several(record("a"), record("b")), "an overlap with tensor 'b'"),
    "T27": (
        several(
            record("a", shape="[3]", offsets="[0,12]"), record("b", shape="[2]", offsets="[8,16]")
        ),
        "an overlap with tensor 'b'",
    ),
    "T28-one": (one(offsets="[16]"), "two integers"),
    "T28-three": (one(offsets="[0,16,16]"), "two integers"),
    "T29": (one(offsets="[0.0,16]"), "0.0 is not an integer"),
}

NAMES = {
    "N01": (one(name=""), "cannot name"),
    "N02": (one(name="../w"), "out of its folder"),
    "N02-inside": (one(name="a/../w"), "out of its folder"),
    "N02-absolute": (one(name="/etc/w"), "out of its folder"),
    "N02-backslash": (one(name="..\\w"), "cannot name"),
    "N03": (one(name="w\0"), "cannot name"),
    "N04-newline": (one(name="w\n"), "cannot name"),
    "N04-ansi": (one(name="\x1b[31mw"), "cannot name"),
    "N05": (one(name="w" * 256), "longer than 255"),
    "N06": (one(name="m\u043edel.w"), "cannot name"),
    "N07": (
        several(
            record("caf\u00e9", shape="[2]", offsets="[0,8]"),
            record("cafe\u0301", shape="[2]", offsets="[8,16]"),
        ),
        "cannot name",
    ),
    "N08": (
        several(
            record("w.A", shape="[2]", offsets="[0,8]"),
            record("w.a", shape="[2]", offsets="[8,16]"),
        ),
        "too alike",
    ),
}


def cases(table: dict[str, tuple[bytes, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("content", "reason"), list(table.values()), ids=list(table.keys())
    )


def refusal(content: bytes, folder: Path, error: type[InputError]) -> InputError:
    path = folder / "delta.safetensors"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        read_tensors(path)
    return caught.value


def explained(error: InputError) -> str:
    return f"{error.message} {error.why}"


def test_the_file_that_the_cases_damage_is_good(tmp_path: Path) -> None:
    path = tmp_path / "delta.safetensors"
    path.write_bytes(GOOD)
    tensors, metadata = read_tensors(path)
    assert tensors[NAME].tolist() == [[0, 1], [2, 3]]
    assert metadata == {}


@cases(HEADERS)
def test_a_malformed_header(content: bytes, reason: str, tmp_path: Path) -> None:
    assert_matches(reason, refusal(content, tmp_path, FormatError))


@cases(METADATA)
def test_malformed_metadata(content: bytes, reason: str, tmp_path: Path) -> None:
    assert_matches(reason, refusal(content, tmp_path, FormatError))


@cases(TENSORS)
def test_a_malformed_tensor_record(content: bytes, reason: str, tmp_path: Path) -> None:
    assert_matches(reason, refusal(content, tmp_path, FormatError))


@cases(NAMES)
def test_a_dangerous_name(content: bytes, reason: str, tmp_path: Path) -> None:
    assert_matches(reason, refusal(content, tmp_path, NameRefused))


def assert_matches(reason: str, error: InputError) -> None:
    assert re.search(reason, explained(error)), explained(error)
    assert explained(error).isprintable()


def many(count: int) -> bytes:
    header = ",".join(
        record(f"w{i}", '"F32"', "[1]", f"[{4 * i},{4 * i + 4}]") for i in range(count)
    )
    return container("{" + header + "}", bytes(4 * count))


@pytest.mark.parametrize("count", [DELTA.tensors, pytest.param(DELTA.tensors + 1, id="H23")])
def test_the_number_of_tensors_has_a_limit(count: int) -> None:
    file = io.BytesIO(many(count))
    if count > DELTA.tensors:
        with pytest.raises(FormatError, match="holds 20001 tensors, more than 20000"):
            read_header(file)
    else:
        assert len(read_header(file).tensors) == count


def test_what_is_at_a_limit_is_accepted() -> None:
    at_limit = [
        container(GOOD_HEADER.ljust(DELTA.header_bytes)),
        annotated(json.dumps({"k": "v" * (DELTA.metadata_bytes - 1)})),
        one(shape="[4,1,1,1,1,1,1,1]"),
        one(name="w" * 255),
    ]
    for content in at_limit:
        assert len(read_header(io.BytesIO(content)).tensors) == 1


@pytest.mark.parametrize("limits", [DELTA, CHECKPOINT], ids=["delta", "checkpoint"])
def test_a_header_one_byte_over_the_limit_is_refused_for_its_length(limits: Limits) -> None:
    for length, why in ((limits.header_bytes, "only"), (limits.header_bytes + 1, "more than")):
        with pytest.raises(FormatError) as caught:
            read_header(io.BytesIO(container(GOOD_HEADER, length=length)), limits)
        assert why in str(caught.value.why)


STRUCTURE = sorted(
    (HEADERS | METADATA | TENSORS).keys()
    - {"H06", "H22", "H22-metadata", "M07", "T15", "T18", "T19"}
    - {code for code in TENSORS if code.startswith("T10")}
    | {"T10-F4", "T10-F6"}
)


@pytest.mark.parametrize("code", STRUCTURE)
def test_the_structure_of_a_checkpoint_is_as_strict(code: str) -> None:
    content, _ = (HEADERS | METADATA | TENSORS)[code]
    with pytest.raises(FormatError):
        read_header(io.BytesIO(content), CHECKPOINT)


@pytest.mark.parametrize("code", ["H22", "H22-metadata", "T10-U16", "T10-F8", "T15", "T18", "N08"])
def test_a_checkpoint_may_hold_what_a_delta_may_not(code: str) -> None:
    content, _ = (HEADERS | TENSORS | NAMES)[code]
    read_header(io.BytesIO(content), CHECKPOINT)


READ_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from weightpatch.patches.errors import FormatError
from weightpatch.patches.format.safetensors_file import read_tensors

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
for path in map(Path, sys.argv[1:]):
    try:
        read_tensors(path)
    except FormatError as error:
        print(path.name, error)
"""


def test_a_header_that_claims_a_lot_costs_little_memory(tmp_path: Path) -> None:
    room = DELTA.header_bytes - 200
    contents = {
        "shape": one(shape=f"[{2**40}]", offsets=f"[0,{2**42}]"),
        "length": container(GOOD_HEADER, length=2**62),
        "lists": one(shape="[" + "[]," * (room // 3) + "[]]"),
        "objects": one(shape="[" + "{}," * (room // 3) + "{}]"),
        "strings": one(shape="[" + '"ab",' * (room // 5) + '"ab"]'),
        "dimensions": one(shape="[" + "999," * (room // 4) + "1]"),
        "digits": one(shape=f"[{'9' * room}]"),
        "brackets": container("{" + '"w":{' * (room // 5)),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_LITTLE_MEMORY, *(tmp_path / name for name in contents)],
        env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(contents)
