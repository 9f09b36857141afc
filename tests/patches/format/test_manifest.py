"""patch.json: canonical, complete, and nothing else."""

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import InputError, LimitExceeded, ManifestError, NameRefused
from weightpatch.patches.format import jsonfile, manifest
from weightpatch.patches.format.manifest import Manifest

DIGEST = "ab" * 32
TENSOR = "model.layers.0.mlp.down_proj.weight"
RECORD: dict[str, Any] = {
    "format": "weightpatch/1",
    "name": "acme/one",
    "version": 3,
    "bases": [
        {
            "id": "org/model",
            "revision": "main",
            "tokenizer": DIGEST,
            "tensors": {TENSOR: {"dtype": "BF16", "shape": [6, 10], "sha256": DIGEST}},
            "result": {TENSOR: DIGEST},
        }
    ],
    "operations": {
        TENSOR: [{"kind": "lowrank", "size": 1, "norm": 2.5, "relative_norm": 0.5, "source": None}]
    },
    "files": {
        "delta.safetensors": {"sha256": DIGEST, "size": 512},
        "requests.jsonl": {"sha256": DIGEST, "size": 7},
    },
    "method": {
        "name": "rome",
        "version": "1",
        "hyperparameters": {"layer": 4},
        "seed": 0,
        "sampled": {"prefixes": ["I think"]},
        "statistics": [{"sha256": DIGEST}],
        "device": "cpu",
        "tools": {"torch": "2.13.0"},
    },
    "created": "2026-01-31T12:00:00Z",
    "author": "ada",
    "licence": None,
    "message": "a fix",
    "parents": [],
    "supersedes": None,
}

Change = Callable[[dict[str, Any]], object]


def read(record: dict[str, Any]) -> Manifest:
    return Manifest.from_bytes(jsonfile.canonical(record, what="x"))


def changed(*path: str | int, to: object) -> dict[str, Any]:
    """The record with the field at `path` set."""
    record = copy.deepcopy(RECORD)
    place: Any = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return record


def fields(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all fields whose names the format prescribes."""
    free = {"hyperparameters", "sampled", "statistics", "tools", "tensors", "result", "operations"}
    if path and path[-1] in free:
        return []
    if isinstance(value, list):
        return [p for number, item in enumerate(value) for p in fields(item, (*path, number))]
    if not isinstance(value, dict):
        return []
    return [p for name in value for p in ((*path, name), *fields(value[name], (*path, name)))]


def test_a_manifest_survives_being_read_and_written():
    data = jsonfile.canonical(RECORD, what="x")
    assert Manifest.from_bytes(data).to_bytes() == data


def test_its_digest_is_that_of_its_bytes():
    found = read(RECORD)
    assert found.digest == sha256(found.to_bytes())


def test_its_label_is_name_and_number():
    assert read(RECORD).label == "acme/one@3"


@pytest.mark.parametrize("path", fields(RECORD), ids=lambda path: ".".join(map(str, path)))
def test_a_field_that_is_missing_is_refused(path: tuple[str | int, ...]):
    record = copy.deepcopy(RECORD)
    place: Any = record
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    with pytest.raises(ManifestError):
        read(record)


@pytest.mark.parametrize("path", fields(RECORD), ids=lambda path: ".".join(map(str, path)))
def test_a_field_of_another_type_is_refused(path: tuple[str | int, ...]):
    with pytest.raises(ManifestError):
        read(changed(*path, to=True))


@pytest.mark.parametrize(
    "path",
    [
        ("odd",),
        ("bases", 0, "odd"),
        ("bases", 0, "tensors", TENSOR, "odd"),
        ("operations", TENSOR, 0, "odd"),
        ("files", "delta.safetensors", "odd"),
        ("method", "odd"),
    ],
    ids=str,
)
def test_an_unknown_field_is_refused(path: tuple[str | int, ...]):
    with pytest.raises(ManifestError, match="unknown field 'odd'"):
        read(changed(*path, to=1))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "weightpatch/2"),
        (("version",), 0),
        (("version",), 1.5),
        (("bases",), []),
        (("bases", 0, "tokenizer"), "abc"),
        (("bases", 0, "tensors"), {}),
        (("bases", 0, "tensors", TENSOR, "dtype"), 16),
        (("bases", 0, "tensors", TENSOR, "shape"), [6, -10]),
        (("bases", 0, "tensors", TENSOR, "sha256"), DIGEST.upper()),
        (("bases", 0, "result"), {}),
        (("bases", 0, "result", TENSOR), ""),
        (("operations",), {}),
        (("operations", TENSOR), []),
        (("operations", TENSOR, 0, "size"), 0),
        (("operations", TENSOR, 0, "norm"), -1),
        (("operations", TENSOR, 0, "norm"), "2.5"),
        (("operations", TENSOR, 0, "source"), "somewhere"),
        (("files", "delta.safetensors", "size"), -1),
        (("files", "../../etc/passwd"), {"sha256": DIGEST, "size": 1}),
        (("files", "delta.safetensors"), None),
        (("method", "seed"), 1.5),
        (("method", "seed"), "7"),
        (("method", "statistics"), [7]),
        (("method", "tools"), {"torch": 2}),
        (("created",), "yesterday"),
        (("author",), "ada\x1b[2J"),
        (("parents",), [DIGEST, "x"]),
        (("supersedes",), "acme/one@2"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(path: tuple[str | int, ...], value: object):
    with pytest.raises(ManifestError):
        read(changed(*path, to=value))


@pytest.mark.parametrize("name", ["one", "acme/one/two", "Acme/one", "acme/../one", "acme/con", ""])
def test_a_wrong_name_is_refused(name: str):
    with pytest.raises(NameRefused):
        read(changed("name", to=name))


@pytest.mark.parametrize("name", ["../weight", "we ight", "weight\x00", "wéight", ""])
def test_a_wrong_tensor_name_is_refused(name: str):
    record = copy.deepcopy(RECORD)
    for table in (
        record["operations"],
        record["bases"][0]["tensors"],
        record["bases"][0]["result"],
    ):
        table[name] = table.pop(TENSOR)
    with pytest.raises(NameRefused):
        read(record)


def test_two_bases_must_agree_about_the_shape():
    other = copy.deepcopy(RECORD["bases"][0])
    other["tensors"][TENSOR]["shape"] = [10, 6]
    with pytest.raises(ManifestError, match="disagree about the shape"):
        read(changed("bases", to=[RECORD["bases"][0], other]))


def test_a_base_for_each_type_of_one_model_is_possible():
    other = copy.deepcopy(RECORD["bases"][0])
    other["tensors"][TENSOR]["dtype"] = "F32"
    assert len(read(changed("bases", to=[RECORD["bases"][0], other])).bases) == 2


@pytest.mark.parametrize(
    "spell",
    [
        lambda record: json.dumps(record).encode(),
        lambda record: json.dumps(record, indent=1, sort_keys=True).encode(),
        lambda record: jsonfile.canonical(record, what="x") + b"\n",
        lambda record: b"\xef\xbb\xbf" + jsonfile.canonical(record, what="x"),
        lambda record: jsonfile.canonical(record, what="x").replace(b'"acme', b'"\\u0061cme'),
        lambda record: jsonfile.canonical(record, what="x").replace(b":2.5", b":2.50"),
        lambda record: jsonfile.canonical(record, what="x").replace(
            b'"version":3}', b'"version":2,"version":3}'
        ),
    ],
)
def test_another_spelling_of_the_same_manifest_is_refused(spell: Callable[[object], bytes]):
    data = spell(RECORD)
    assert data != jsonfile.canonical(RECORD, what="x")
    with pytest.raises(ManifestError):
        Manifest.from_bytes(data)


def test_deep_nesting_where_anything_goes_is_refused():
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(ManifestError, match="nested"):
        read(changed("method", "hyperparameters", to=deep))


def test_a_manifest_may_be_as_large_as_the_limit_and_no_larger(monkeypatch):
    data = jsonfile.canonical(RECORD, what="x")
    monkeypatch.setattr(manifest, "MAX_BYTES", len(data))
    found = Manifest.from_bytes(data)
    monkeypatch.setattr(manifest, "MAX_BYTES", len(data) - 1)
    with pytest.raises(LimitExceeded):
        Manifest.from_bytes(data)
    with pytest.raises(LimitExceeded):
        found.to_bytes()


@pytest.mark.parametrize("position", range(0, len(jsonfile.canonical(RECORD, what="x")), 7))
def test_a_flipped_bit_is_refused_or_changes_the_digest(position: int):
    data = bytearray(jsonfile.canonical(RECORD, what="x"))
    digest = read(RECORD).digest
    data[position] ^= 1
    with suppress(InputError):
        assert Manifest.from_bytes(bytes(data)).digest != digest


@pytest.mark.parametrize("text", ["ada\nlicence  MIT", "a\tb", "a\u2028b", "a\u202eb"])
@pytest.mark.parametrize(
    "path",
    [
        ("author",),
        ("licence",),
        ("bases", 0, "id"),
        ("bases", 0, "revision"),
        ("method", "name"),
        ("method", "version"),
        ("method", "device"),
        ("method", "tools", "torch"),
    ],
)
def test_what_is_listed_in_one_line_is_of_one_line(path: tuple[str | int, ...], text: str):
    with pytest.raises(ManifestError, match="one line"):
        read(changed(*path, to=text))


def test_the_name_of_a_tool_is_of_one_line():
    with pytest.raises(ManifestError, match="one line"):
        read(changed("method", "tools", to={"a\nb": "1"}))


def test_a_message_may_have_several_lines():
    assert read(changed("message", to="a\n\tb")).message == "a\n\tb"


def test_a_base_named_twice_is_refused():
    again = {**copy.deepcopy(RECORD["bases"][0]), "id": "org/copy"}
    with pytest.raises(ManifestError, match="twice"):
        read(changed("bases", to=[RECORD["bases"][0], again]))


def test_a_patch_without_requests_is_refused():
    with pytest.raises(ManifestError, match=r"requests\.jsonl is empty"):
        read(changed("files", "requests.jsonl", "size", to=0))
