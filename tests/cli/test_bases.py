"""BASE as a user types it: a folder in the Hub's cache, an address, or nothing."""

import shutil
from dataclasses import replace

import pytest
from weightpatch.cli.bases import named_base
from weightpatch.cli.config import Config
from weightpatch.cli.output import Output
from weightpatch.registry.registry import Registry

COMMIT = "7e27bd9f95328f0f3b08261d1252705110c806f8"


@pytest.mark.parametrize(
    ("place", "id", "revision"),
    [
        (f"models--org--model-1/snapshots/{COMMIT}", "org/model-1", COMMIT),
        (f"models--gpt2/snapshots/{COMMIT}", "gpt2", COMMIT),
        (f"datasets--org--data/snapshots/{COMMIT}", COMMIT, None),
        ("models--org--model/snapshots/main", "main", None),
        (f"models--org--model/{COMMIT}", COMMIT, None),
    ],
)
def test_a_folder_of_the_hubs_cache_says_which_model_it_is(pico, tmp_path, place, id, revision):  # noqa: A002
    folder = tmp_path / "hub" / place
    shutil.copytree(pico.base().path, folder)
    config = Config(home=tmp_path / "home", database=None, actor="tester")
    found = named_base(str(folder), config, Output(as_json=False))
    assert (found.id, found.revision) == (id, revision)


def test_an_address_of_the_hub_is_said_how_to_write(stocked, tmp_path):
    said = stocked.fails(
        1, "E_CHECKPOINT", "apply", "acme/one", "--base", "hf://org/model", "--out", tmp_path / "x"
    )
    assert "next: name it: org/model" in said


@pytest.mark.parametrize(
    ("id", "said"),
    [("base", "name it with --base FOLDER or"), ("org/model", "name it with --base org/model@abc")],
)
def test_without_a_known_base_the_one_of_the_manifest_is_named(stocked, pico, tmp_path, id, said):  # noqa: A002
    made = pico.patch(stocked.base, "acme/mine", seed=5)
    revision = "abc" if "/" in id else None
    bases = tuple(replace(base, id=id, revision=revision) for base in made.manifest.bases)
    pico.rewrite(made, bases=bases)
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.admit(type(made).open(made.files["patch.json"].parent))
    assert said in stocked.fails(1, "E_CHECKPOINT", "apply", "acme/mine", "--out", tmp_path / "x")
