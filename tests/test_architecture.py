"""The house's rules: imports point one way, packages are in the wheel, the front door is light."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "patches": set(),
    "registry": {"patches"},
    "migrations": {"registry", "patches"},
    "cli": {"registry", "patches"},
}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def reads_environment(file: Path) -> bool:
    return bool(re.search(r"\benviron\b|getenv", file.read_text()))


def imported_rooms(file: Path) -> set[str]:
    """Top-level folders of the package that a file imports from, at any depth of the code."""
    package = ("weightpatch", *file.relative_to(ROOT).parent.parts)
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*start, *([node.module] if node.module else [])])
            names = [stem, *(f"{stem}.{alias.name}" for alias in node.names)]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("weightpatch.")}
    return rooms


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_point_down(room: str):
    for file in modules(room):
        others = imported_rooms(file) & set(MAY_IMPORT) - {room}
        assert others <= MAY_IMPORT[room], file


def test_the_rule_sees_a_violation(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "patches" / "methods" / "bad.py"
    file.parent.mkdir(parents=True)
    file.write_text("def f():\n    from ...registry import blobs\n")
    assert imported_rooms(file) == {"registry"}


def test_no_absolute_imports_of_the_package_inside_it():
    for room in set(MAY_IMPORT) - {"migrations"}:  # Alembic loads its scripts by path
        for file in modules(room):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and not node.level:
                    assert not (node.module or "").startswith("weightpatch"), file
                    assert (node.module or "").split(".")[0] not in MAY_IMPORT, file


def imported_names(file: Path) -> set[str]:
    """Whole dotted names of what a file imports from outside the package."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
    return found


def test_patches_know_no_environment_network_or_sql():
    banned = {"sqlalchemy", "alembic", "huggingface_hub", "socket", "urllib", "platformdirs"}
    for file in modules("patches"):
        names = imported_names(file) - {"huggingface_hub.errors"}  # what transformers may raise
        assert not {name.split(".")[0] for name in names} & banned, file
        assert not reads_environment(file), file


def test_only_the_command_line_reads_the_environment():
    for room in ("registry", "migrations"):
        for file in modules(room):
            assert not reads_environment(file), file


def test_every_package_folder_is_in_the_wheel(tmp_path):
    source = tmp_path / "source"
    leftovers = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=leftovers)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", tmp_path, source],
        check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {
        name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".py", ".mako"))
    }
    for room in MAY_IMPORT:
        for file in (*modules(room), *(ROOT / room).rglob("*.mako")):
            assert f"weightpatch/{file.relative_to(ROOT)}" in shipped
    assert "weightpatch/py.typed" in zipfile.ZipFile(wheel).namelist()
    assert not any("/tests/" in name or "/demo/" in name for name in shipped)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_the_front_door_is_light(arguments: list[str]):
    heavy = "{'torch', 'transformers', 'sqlalchemy', 'numpy', 'huggingface_hub', 'rich'}"
    code = (
        "import sys, weightpatch.cli.main as m\n"
        f"sys.argv = ['weightpatch', *{arguments!r}]\n"
        "m.main()\n"
        f"found = {heavy} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    "module", ["builds.apply", "builds.revert", "builds.verify", "conflicts.check"]
)
def test_work_on_files_needs_numpy_only(module: str):
    heavy = "{'torch', 'transformers', 'sqlalchemy', 'huggingface_hub', 'safetensors', 'rich'}"
    code = (
        f"import sys, weightpatch.patches.{module}\n"
        f"found = {heavy} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_no_file_is_mapped_and_no_pickle_is_read():
    for file in modules("patches"):
        names = imported_names(file)
        assert not {"mmap", "pickle", "safetensors.torch", "safetensors.numpy"} & names, file
        assert "memmap" not in file.read_text(), file


def test_version_is_written_once_more_in_pyproject():
    import weightpatch

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == weightpatch.__version__


def test_public_names_can_be_had():
    import weightpatch

    assert set(weightpatch._PUBLIC) | {"__version__"} == set(weightpatch.__all__)
    for name in weightpatch.__all__:
        assert getattr(weightpatch, name) is not None
