"""Group F: folders and files that a patch must not be made of, by their codes and errors."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.format import jsonfile
from weightpatch.patches.format.manifest import FileRecord, Manifest
from weightpatch.patches.format.patch import MAX_DELTA_BYTES, Patch

FILES = ["patch.json", "delta.safetensors", "requests.jsonl"]
DELTA = "delta.safetensors"
HOLE = 1 << 30


@pytest.fixture
def folder(pico) -> Path:
    return pico.patch(pico.base()).files["patch.json"].parent


def linked(file: Path) -> None:
    file.symlink_to(file.rename(file.parent.parent / "elsewhere"))


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def endless(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def listening(file: Path) -> None:
    file.unlink()
    here = Path.cwd()
    os.chdir(file.parent)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(file.name)
    os.chdir(here)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def longer(file: Path) -> None:
    with file.open("ab") as handle:
        handle.write(b"\0")


def far_longer(file: Path) -> None:
    os.truncate(file, 1 << 42)


def shorter(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "F01": ("E_PATH", linked),
    "F01-dangling": ("E_PATH", dangling),
    "F01-endless": ("E_PATH", endless),
    "F02-pipe": ("E_PATH", pipe),
    "F02-socket": ("E_PATH", listening),
    "F02-folder": ("E_PATH", directory),
    "F04": ("E_MANIFEST", Path.unlink),
    "F09": ("E_DIGEST", flipped),
    "F10": ("E_SIZE", longer),
    "F10-endless": ("E_SIZE", far_longer),
    "F13": ("E_SIZE", shorter),
}


def refusal(folder: Path) -> WeightpatchError:
    with pytest.raises(WeightpatchError) as caught:
        Patch.open(folder)
    assert f"{caught.value}{caught.value.why}".isprintable()
    return caught.value


@pytest.mark.parametrize("file", FILES[1:])
@pytest.mark.parametrize("code", DAMAGE)
def test_a_file_that_is_not_the_promised_one(folder: Path, code: str, file: str) -> None:
    error, damage = DAMAGE[code]
    damage(folder / file)
    assert refusal(folder).code == error


@pytest.mark.parametrize("code", [code for code in DAMAGE if code[:3] in ("F01", "F02", "F04")])
def test_a_manifest_that_is_no_file(folder: Path, code: str) -> None:
    error, damage = DAMAGE[code]
    damage(folder / "patch.json")
    assert refusal(folder).code == error


def test_a_manifest_without_end_is_not_read_to_it(folder: Path) -> None:
    """F10."""
    far_longer(folder / "patch.json")
    assert refusal(folder).code == "E_LIMIT"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("weights.bin", id="F03"),
        pytest.param("delta.safetensors.orig", id="F03-beside"),
        pytest.param(".git", id="F05"),
        pytest.param(".github", id="F05-github"),
        pytest.param(".gitattributes", id="F05-attributes"),
        pytest.param("CON", id="F07"),
        pytest.param("aux.txt", id="F07-aux"),
        pytest.param("delta.safetensors.", id="F07-dot"),
        pytest.param("delta.safetensors ", id="F07-space"),
        pytest.param("Delta.safetensors", id="F08"),
        pytest.param("PATCH.JSON", id="F08-manifest"),
        pytest.param("readme.md", id="F08-card"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_does_not_belong_to_a_patch(folder: Path, name: str, kind: str) -> None:
    make = {
        "file": (folder / name).touch,
        "folder": (folder / name).mkdir,
        "link": lambda: (folder / name).symlink_to("patch.json"),
    }
    make[kind]()
    assert refusal(folder).code == "E_EXTRA"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../delta.safetensors", id="F06"),
        pytest.param("a/../../delta.safetensors", id="F06-inside"),
        pytest.param("/etc/passwd", id="F06-absolute"),
        pytest.param("..\\delta.safetensors", id="F06-backslash"),
        pytest.param("C:delta.safetensors", id="F06-drive"),
        pytest.param("\\\\host\\share\\delta.safetensors", id="F06-UNC"),
        pytest.param("delta.safetensors\0", id="F06-NUL"),
        pytest.param(".git/config", id="F05-manifest"),
        pytest.param("CON", id="F07-manifest"),
        pytest.param("delta.safetensors.", id="F07-dot"),
        pytest.param("Delta.safetensors", id="F08"),
        pytest.param("weights.bin", id="F03"),
    ],
)
@pytest.mark.parametrize("instead", [True, False])
def test_a_manifest_that_names_other_files(pico, folder: Path, name: str, instead: bool) -> None:
    record = Patch.open(folder).manifest.to_json()
    delta = record["files"].pop(DELTA) if instead else record["files"][DELTA]
    record["files"][name] = delta
    (folder / "patch.json").write_bytes(jsonfile.canonical(record, what="patch.json"))
    assert refusal(folder).code == "E_MANIFEST"


@pytest.mark.parametrize("file", FILES)
def test_a_second_name_for_a_file_does_no_harm(pico, folder: Path, file: str) -> None:
    """F02: a hard link is accepted.

    It cannot be told from a file that a backup (`cp -al`) or a cache shares, and it leads nowhere:
    what is used is what was hashed. A change through the other name is noticed as any other.
    """
    os.link(folder / file, pico.root / "other-name")
    patch = Patch.open(folder)
    assert patch.operations
    assert patch.requests == (pico.REQUEST,)
    opened = Patch.open(folder)
    data = bytearray((pico.root / "other-name").read_bytes())
    data[-2] ^= 1
    (pico.root / "other-name").write_bytes(data)
    assert refusal(folder).code == ("E_MANIFEST" if file == "patch.json" else "E_DIGEST")
    if file != "patch.json":
        with pytest.raises(WeightpatchError) as caught:
            _ = (opened.operations, opened.requests)
        assert caught.value.code == "E_DIGEST"


def test_a_change_through_another_name_after_reading_is_noticed(pico) -> None:
    """F02, F12: large deltas are read when they are needed, and hashed again if they changed."""
    base = pico.base("twice")
    patch = pico.patch(base, "acme/two", operations={pico.DOWN: [pico.dense((6, 10))]})
    os.link(patch.files[DELTA], pico.root / "other-name")
    assert patch.operations
    flipped_end = bytearray((pico.root / "other-name").read_bytes())
    flipped_end[-1] ^= 0x80
    (pico.root / "other-name").write_bytes(flipped_end)
    with pytest.raises(WeightpatchError) as caught:
        apply(base, [patch], pico.root / "build")
    assert caught.value.code == "E_DIGEST"
    assert not (pico.root / "build").exists()


@pytest.mark.parametrize("moment", ["opened", "read"])
def test_a_file_cut_short_after_it_was_opened(pico, moment: str) -> None:
    """F13."""
    base = pico.base("cut")
    patch = pico.patch(base, "acme/cut", operations={pico.DOWN: [pico.dense((6, 10))]})
    if moment == "read":
        assert patch.operations
    os.truncate(patch.files[DELTA], patch.files[DELTA].stat().st_size - 8)
    with pytest.raises(WeightpatchError) as caught:
        apply(base, [patch], pico.root / "build")
    assert caught.value.code == "E_SIZE"
    assert not (pico.root / "build").exists()


def test_a_delta_that_claims_more_than_the_limit_is_not_read(folder: Path) -> None:
    """F11: a file of holes alone, of the size that its manifest says."""
    os.truncate(folder / DELTA, MAX_DELTA_BYTES + 1)
    record = Manifest.from_bytes((folder / "patch.json").read_bytes())
    files = {**record.files, DELTA: FileRecord("0" * 64, MAX_DELTA_BYTES + 1)}
    (folder / "patch.json").write_bytes(replace(record, files=files).to_bytes())
    assert refusal(folder).code == "E_LIMIT"


IN_LITTLE_MEMORY = """
import resource, sys
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.format.patch import Patch

resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    print(len(Patch.open(sys.argv[1]).operations))
except WeightpatchError as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    ("sha256", "code"),
    [
        pytest.param("0" * 64, "E_DIGEST", id="other digest"),
        pytest.param(
            "49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14", "E_FORMAT", id="own"
        ),
    ],
)
def test_a_delta_of_holes_costs_little_memory(pico, folder: Path, sha256: str, code: str) -> None:
    """F11: as many bytes as the process may use."""
    patch = Patch.open(folder)
    os.truncate(folder / DELTA, 0)
    os.truncate(folder / DELTA, HOLE)
    pico.rewrite(patch, files={**patch.manifest.files, DELTA: FileRecord(sha256, HOLE)})
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, folder],
        env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == code, done.stderr
