"""Documentation cannot lie: help pages, error codes, and every command that a page shows."""

import dataclasses
import importlib.util
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest
import weightpatch
from pages import commands, snippets
from weightpatch.cli.commands.method import typed
from weightpatch.cli.main import SECTIONS
from weightpatch.patches import plugins
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.evaluation.measures import MEASURES

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def load_writer():
    spec = importlib.util.spec_from_file_location("writer", ROOT / "docs" / "write_commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def error_classes(root: type = WeightpatchError):
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)


def test_commands_page_is_what_the_commands_say():
    assert (ROOT / "docs" / "commands.md").read_text() == load_writer().render(), (
        "run python docs/write_commands.py"
    )


def test_short_help_is_the_first_sentence_of_the_command_or_its_gist():
    writer = load_writer()
    for name, command in writer.pages():
        assert command.help, name
        assert command.epilog, f"{name} has no examples"


def test_every_error_code_is_documented():
    for package in ("patches", "registry"):
        for module in pkgutil.walk_packages(
            [str(ROOT / package)], prefix=f"weightpatch.{package}."
        ):
            if module.name.endswith("errors"):
                import_module(module.name)
    page = (ROOT / "docs" / "errors.md").read_text()
    for error in error_classes():
        assert f"`{error.code}`" in page, error


def test_every_command_is_in_the_commands_page():
    page = (ROOT / "docs" / "commands.md").read_text()
    for section in SECTIONS.values():
        for name in section:
            assert re.search(rf"^## {name}\b", page, re.MULTILINE)


def test_every_measure_is_documented_as_it_is_defined():
    page = (ROOT / "docs" / "scores.md").read_text()
    for name, measure in MEASURES.items():
        assert f"| `{name}` | {measure.definition} |" in page


def documented_methods():
    pages = {page.stem for page in (ROOT / "docs" / "methods").glob("*.md")}
    return sorted(pages & set(plugins.BUILT_IN["methods"]))


@pytest.mark.parametrize("name", documented_methods())
def test_every_hyperparameter_of_a_method_is_documented_with_its_default(name):
    """As in `| `steps` | 20 | …`, or `| `layer` | by model …` where there is no one default."""
    page = (ROOT / "docs" / "methods" / f"{name}.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)
    for field in dataclasses.fields(plugins.load("methods", name).Hyperparameters):
        forms = ["by model"]
        if field.default is not dataclasses.MISSING:
            forms = [str(field.default), typed(field.default)]
        shown = [text.replace("`", "") for name, text in rows if name == field.name]
        patterns = [rf"{re.escape(form)}(?![\w.])" for form in forms]
        assert any(re.match(each, text) for each in patterns for text in shown), field.name


@pytest.mark.slow
def test_readme_runs_from_top_to_bottom(smollm2, tmp_path, monkeypatch, run_command):
    (tmp_path / "smollm2").symlink_to(smollm2)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text()
    assert len(commands(text)) >= 8
    for command in commands(text):
        found = run_command(*command)
        assert found.returncode == 0, (command, found.stderr)
    (snippet,) = snippets(text)
    names: dict = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert isinstance(names["patch"], weightpatch.Patch)


def test_links_in_the_documentation_lead_somewhere():
    for page in DOCS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
