"""Making and opening a registry."""

import pytest
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.errors import DatabaseFailed, RegistryMissing, SchemaTooNew
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


def test_a_newer_schema_is_refused(registry, home, sql):
    sql("UPDATE alembic_version SET version_num = '0999'")
    for door in (Registry.open, Registry.create):
        with pytest.raises(SchemaTooNew, match="0999"):
            door(home=home, actor="ada")


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
