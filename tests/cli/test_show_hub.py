"""show hf://…, and what other commands say of a version that is still on the Hub."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from weightpatch.cli.main import cli
from weightpatch.patches.errors import ManifestError, NameRefused, WeightpatchError
from weightpatch.patches.format.patch import Draft, Patch
from weightpatch.registry.errors import ReferenceRefused
from weightpatch.registry.registry import Registry
from weightpatch.registry.sharing.exchange import pull, push
from weightpatch.registry.sharing.finding import look


@pytest.fixture
def published(desk, pico, hub, tmp_path) -> list[Patch]:
    """Two versions of acme/one on the Hub, from the registry of somebody else."""
    found = []
    with Registry.create(home=tmp_path / "publisher", actor="ada") as registry:
        for seed in (5, 6):
            patch = pico.patch(desk.base, f"acme/draft-{seed}", seed=seed)
            manifest = replace(patch.manifest, name="acme/one")
            info = registry.publish(Draft(manifest, patch.files["patch.json"].parent))
            push(registry, info.label, "hf://", public=True)
            found.append(registry.patch(info.label))
    hub.requests.clear()
    return found


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Run `show` in this process; gives what it printed, or the JSON document."""
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))

    def run(*arguments):
        cli.main(["show", *arguments], standalone_mode=False)
        printed = capsys.readouterr()
        return json.loads(printed.out) if "--json" in arguments else printed

    return run


@pytest.fixture
def here(tmp_path) -> Iterator[Registry]:
    """The registry here, empty."""
    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        yield registry


def asked(hub) -> list[str]:
    return [f"{method} {path.partition('acme/one/')[2]}" for method, path in hub.requests]


def test_the_manifest_alone_is_read(published, desk, hub):
    page = desk.ok("show", "hf://acme/one")

    commit = hub["acme/one"].tags["v2"]
    assert asked(hub) == ["GET refs", f"GET tree/{commit}", f"GET resolve/{commit}/patch.json"]
    for word in (
        "acme/one@2",
        f"sha256:{published[1].digest}",
        f"hf://acme/one@v2 (commit {commit[:12]})",
        "2, 1",
        "rome 1",
        "layer 0",
        "lowrank",
        "a fix",
        "get it: weightpatch pull hf://acme/one@v2",
    ):
        assert word in page


@pytest.mark.parametrize(
    ("at", "requests", "version"), [("@v1", 3, 1), ("@main", 4, 2), ("@{commit}", 3, 1)]
)
def test_a_tag_a_branch_and_a_commit_are_read_with_few_requests(
    published, hub, at, requests, version
):
    commit = hub["acme/one"].tags["v1"]

    seen = look(f"hf://acme/one{at.format(commit=commit)}")

    assert seen.digest == published[version - 1].digest
    assert len(hub.requests) == requests
    assert seen.revision == hub["acme/one"].tags[f"v{version}"]
    assert seen.location == f"hf://acme/one@v{version}"
    assert (seen.attestations, seen.broken, seen.versions) == (0, (), (1, 2))


def test_what_is_here_already_is_said(published, here, show):
    assert show("hf://acme/one@v1", "--json")["here"] is None
    pull(here, "acme/one@1", "hf://")

    assert "acme/one@1 is here already" in show("hf://acme/one@v1").out
    document = show("hf://acme/one@v1", "--json")
    assert document["schema"] == "weightpatch.show-remote/1"
    assert document["here"]["digest"] == document["digest"] == published[0].digest
    assert (document["versions"], document["highest_seen"]) == ([1, 2], 1)
    assert document["clash"] is None


def test_another_version_under_a_known_number_is_an_alarm(published, stocked, show):
    page = show("hf://acme/one@v1")
    assert "ALARM: acme/one@1 is known here as sha256:" in page.err
    assert "get it" not in page.out


def test_what_was_withdrawn_here_is_said(published, here, show):
    for version in ("acme/one@1", "acme/one@2"):
        pull(here, version, "hf://")
    here.yank("acme/one@2", reason="bad", severity="malicious")
    here.delete("acme/one@1", reason="a mistake")

    assert "acme/one@1 was here, and was deleted" in show("hf://acme/one@v1").out
    assert "warning: acme/one@2 was yanked" in show("hf://acme/one@v2").err


def test_a_delta_that_is_known_as_malicious_is_told(published, here, show, hub):
    pull(here, "acme/one@1", "hf://")
    here.yank("acme/one@1", reason="bad", severity="malicious")
    tree = hub["acme/one"].commits[hub["acme/one"].tags["v1"]]
    manifest = replace(published[0].manifest, version=3, message="a better fix")
    files = {name: blob.data for name, blob in tree.items()}
    hub["acme/one"].tags["v3"] = hub["acme/one"].put({**files, "patch.json": manifest.to_bytes()})

    assert "holds acme/one@1, yanked as malicious" in show("hf://acme/one").err


def test_an_older_state_is_noticed(published, here, show, hub):
    pull(here, "acme/one", "hf://")
    del hub["acme/one"].tags["v2"]
    assert "acme/one@2 was at hf:// before" in show("hf://acme/one").err


def test_what_was_seen_elsewhere_is_no_state_of_the_hub(published, here, show, hub, tmp_path):
    with Registry.open(home=tmp_path / "publisher", actor="ada") as registry:
        push(registry, "acme/one@2", str(tmp_path / "drive"))
    pull(here, "acme/one", str(tmp_path / "drive"))
    del hub["acme/one"].tags["v2"]
    assert show("hf://acme/one").err == ""


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("delta.safetensors", lambda data: data[:-1]),
        ("delta.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("requests.jsonl", lambda data: data + b"\n"),
    ],
)
def test_a_version_whose_files_are_others_is_told(published, show, hub, name, change):
    repository = hub["acme/one"]
    repository.tags["v2"] = repository.put({name: change(repository.head()[name].data)})
    assert f"{name} lies there otherwise than the manifest" in show("hf://acme/one").err


@pytest.mark.parametrize(
    ("location", "code", "said"),
    [
        ("hf://acme/model", "E_NOT_FOUND", "has no versions"),
        ("hf://acme/model@main", "E_MANIFEST", "has no patch.json"),
        ("hf://acme/nothing", "E_NOT_FOUND", "no repository acme/nothing"),
        ("hf://acme/one@v9", "E_NOT_FOUND", "versions there: 1, 2"),
        ("hf://acme/one@2", "E_NOT_FOUND", "version 2 is written hf://acme/one@v2"),
        ("hf://acme/one@none", "E_NOT_FOUND", "no such revision"),
        ("hf://acme/one/pr/7", "E_NAME", "weightpatch review hf://acme/one/pr/7"),
        ("hf://acme/one@refs/pr/7", "E_NAME", "weightpatch review hf://acme/one/pr/7"),
        ("hf://", "E_NAME", "names no patch"),
    ],
)
def test_what_is_no_version_is_said(published, hub, location, code, said):
    hub.make("acme/model").put({"config.json": b"{}"})

    with pytest.raises(WeightpatchError) as caught:
        look(location)

    assert caught.value.code == code
    assert said in f"{caught.value.message} {caught.value.why} {caught.value.hint}"


def test_a_manifest_of_another_name_is_refused(published, hub):
    repository = hub.make("acme/two")
    repository.tags["v1"] = repository.put(
        {"patch.json": hub["acme/one"].head()["patch.json"].data}
    )

    with pytest.raises(ManifestError, match="holds 'acme/one@2' in its place"):
        look("hf://acme/two")


@pytest.mark.parametrize(
    "arguments",
    [
        "apply {} --base {base} --out {out}",
        "check {} acme/two",
        "eval {} --base {base}",
        "diff {} acme/two",
        "compose {} acme/two --base {base} --name acme/both",
        "export {} --to peft --out {out}",
        "rebase {} --onto {base}",
        "lineage {}",
        "log {}",
        "verify {}",
        "report {} acme/two",
        "outdated {}",
        "push {} {out}",
        "alias {} stable",
        "yank {} --reason bad",
        "delete {} --reason bad",
    ],
)
def test_what_is_still_on_the_hub_must_be_pulled_first(
    stocked, hub, tmp_path, monkeypatch, arguments
):
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))
    places = {"base": stocked.base.path, "out": tmp_path / "out"}

    with pytest.raises(ReferenceRefused, match="is on the Hub") as caught:
        cli.main(arguments.format("hf://acme/one@v2", **places).split(), standalone_mode=False)

    assert "weightpatch pull hf://acme/one@v2" in caught.value.hint
    assert not hub.requests


@pytest.mark.parametrize("arguments", ["check acme/two", "show", "pull", "push acme/two"])
def test_a_proposal_is_reviewed_and_not_used(stocked, monkeypatch, tmp_path, arguments):
    monkeypatch.setenv("WEIGHTPATCH_HOME", str(tmp_path / "home"))
    with pytest.raises(NameRefused, match="is a proposal") as caught:
        cli.main([*arguments.split(), "hf://acme/one/pr/7"], standalone_mode=False)
    assert "weightpatch review hf://acme/one/pr/7" in caught.value.hint
