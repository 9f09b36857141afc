"""Making and opening a registry."""

import pytest
import weightpatch
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.errors import DatabaseFailed, RegistryMissing, SchemaTooNew
from weightpatch.registry.ledger.entries import Ledger
from weightpatch.registry.registry import Registry


def actions(registry: Registry) -> list[str]:
    return [entry.action for entry in registry.log()]


def test_there_is_none(home):
    with pytest.raises(RegistryMissing, match="no registry") as caught:
        Registry.open(home=home, actor="ada")
    assert "weightpatch init" in caught.value.hint
    assert not home.exists()


def test_a_database_without_a_registry(home):
    home.mkdir()
    (home / "registry.db").touch()
    with pytest.raises(RegistryMissing):
        Registry.open(home=home, actor="ada")


def test_a_file_that_is_no_database(home):
    home.mkdir()
    (home / "registry.db").write_bytes(b"no database, but longer than a header of one" * 9)
    with pytest.raises(DatabaseFailed, match="not a database"):
        Registry.open(home=home, actor="ada")


def test_creating_twice_keeps_what_is_there(home, make_draft):
    with Registry.create(home=home, actor="ada") as registry:
        registry.publish(make_draft())
    with Registry.create(home=home, actor="bob") as registry:
        assert actions(registry) == ["version.publish", "registry.create"]
        assert registry.log()[0].actor == "ada"


def test_a_newer_schema_is_refused(registry, url, home, sql):
    sql("UPDATE alembic_version SET version_num = '0999'")
    for door in (Registry.open, Registry.create):
        with pytest.raises(SchemaTooNew, match="0999"):
            door(url, home=home, actor="ada")


def test_another_database_by_url(home, tmp_path, make_draft):
    url = f"sqlite:///{tmp_path / 'elsewhere' / 'team.db'}"
    with Registry.create(url, home=home, actor="ada") as registry:
        registry.publish(make_draft())
    assert not (home / "registry.db").exists()
    with Registry.open(url, home=home, actor="ada") as registry:
        assert registry.patch("acme/tongues").label == "acme/tongues@1"


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://here/db",
        "nosuch://here/db",
        "sqlite://",
        "sqlite+no://x",
        "sqlite://host/registry.db",
        "sqlite:///registry.db?timeout=abc",
        "sqlite:///registry.db?foo=bar",
        "postgresql://host:abc/registry",
        "postgresql+nosuch://host/registry",
    ],
)
def test_a_url_that_cannot_be_used(url, home):
    with pytest.raises(DatabaseFailed) as caught:
        Registry.create(url, home=home, actor="ada")
    assert caught.value.hint
    assert not home.exists()


@pytest.mark.parametrize("actor", ["", "two\nlines", "\udcff", "a" * 256])
def test_an_actor_must_be_printable(actor, home):
    with pytest.raises(NameRefused):
        Registry.create(home=home, actor=actor)
    assert not home.exists()


def test_by_default_it_is_yours_and_lies_in_your_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "grace")
    with pytest.raises(RegistryMissing):
        Registry.open()
    with Registry.create() as registry:
        assert registry.log()[0].actor == "grace"
    assert (tmp_path / "weightpatch" / "registry.db").is_file()
    with weightpatch.Registry.open() as registry:
        assert registry.versions() == []


def test_a_folder_may_be_named_by_its_text_and_stays_the_same(tmp_path, monkeypatch, make_draft):
    monkeypatch.chdir(tmp_path)
    with Registry.create(home="here") as registry:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        registry.publish(make_draft())
        assert registry.patch("acme/tongues").operations
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_killed_while_it_is_made_there_is_no_registry(url, home, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Registry.create(url, home=home, actor="ada")
    with Registry.create(url, home=home, actor="ada", identity="mine") as registry:
        assert [entry.action for entry in registry.log()] == ["registry.create"]
        assert registry.log()[0].detail == {"id": "mine"}
