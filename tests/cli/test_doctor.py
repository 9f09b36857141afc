"""doctor: facts for a report, and what is wrong."""

import shutil


def test_a_sound_registry(stocked):
    shown = stocked.ok("doctor", "--full")
    assert "the registry is sound" in shown
    assert "sqlite" in shown
    document = stocked.json("doctor")
    assert (document["ok"], document["findings"]) == (True, [])
    assert document["registry"]["versions"] == 2
    assert {"weightpatch", "sqlalchemy"} <= document["packages"].keys()


def test_lost_files_are_named_and_pulled_again(stocked, tmp_path):
    shutil.rmtree(tmp_path / "home" / "blobs" / "sha256")
    found = stocked.run("doctor", "--mend")
    assert (found.returncode, "E_VERIFY" in found.stderr) == (3, True)
    for lost in ("acme/one@1 delta.safetensors", "acme/two@1 patch.json"):
        assert f"lost      {lost} is missing" in found.stdout
    for name in ("acme/one", "acme/two"):
        stocked.ok("pull", f"{name}@1", stocked.exchange)
    assert stocked.json("doctor", "--full")["ok"] is True


def test_what_is_left_over_is_a_note_and_mended(stocked, tmp_path):
    trash = tmp_path / "home" / "blobs" / "trash"
    trash.mkdir()
    (trash / f"{0:064x}").touch()
    assert "harmless" in stocked.ok("doctor")
    assert "mended" in stocked.ok("doctor", "--mend")
    assert list(trash.iterdir()) == []


def test_without_a_registry_the_facts_are_told_all_the_same(desk):
    desk.fails(1, "E_NO_REGISTRY", "doctor")
    assert "packages" in desk.run("doctor").stdout


def test_a_password_is_not_told(desk):
    url = "postgresql://ada:s3cret@127.0.0.1:1/nowhere"
    found = desk.run("doctor", "--db", url)
    assert found.returncode == 1
    assert "s3cret" not in found.stdout + found.stderr
