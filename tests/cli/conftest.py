"""A pico base, two patches of it in a folder remote, and a registry that has pulled them."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.patch import Draft
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.registry import Registry
from weightpatch.registry.sharing.exchange import pull

OTHER = EditRequest("The author of {} is", "Hamlet", "Marlowe", old_target="Shakespeare")


@dataclass(frozen=True)
class Desk:
    """A user at work: where things lie, and the command line."""

    base: Checkpoint
    exchange: Path
    run: object

    def ok(self, *arguments: object) -> str:
        """Run a command that must succeed; gives what it printed."""
        found = self.run(*arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def json(self, *arguments: object) -> dict:
        """Run a command with --json that must succeed; gives the document."""
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, status: int, code: str, *arguments: object) -> str:
        """Run a command that must be refused with this exit status and code."""
        found = self.run(*arguments)
        assert found.returncode == status, found.stdout + found.stderr
        assert f"error[{code}]" in found.stderr
        assert "Traceback" not in found.stderr
        return found.stderr


@pytest.fixture
def desk(pico, run_command) -> Desk:
    """A base and a folder remote with two patches of it; no registry yet."""
    base = pico.base()
    exchange = pico.root / "exchange"
    for seed, (name, request) in enumerate({"acme/one": pico.REQUEST, "acme/two": OTHER}.items()):
        patch = pico.patch(base, name, seed=seed, requests=[request])
        shutil.copytree(patch.files["patch.json"].parent, exchange / name / "v1")
    return Desk(base, exchange, run_command)


@pytest.fixture
def stocked(desk, tmp_path, new_registry) -> Desk:
    """The desk with a registry in which both patches are."""
    with new_registry(tmp_path / "home", actor="tester") as registry:
        for name in ("acme/one", "acme/two"):
            pull(registry, name, str(desk.exchange))
    return desk


@pytest.fixture
def again(stocked, pico, tmp_path) -> Desk:
    """The stocked desk with a second version of acme/one."""
    other = pico.patch(stocked.base, "acme/other", seed=7)
    folder = other.files["patch.json"].parent
    with Registry.open(home=tmp_path / "home", actor="tester") as registry:
        registry.publish(Draft(replace(other.manifest, name="acme/one"), folder))
    return stocked


@pytest.fixture
def listed(desk, pico):
    """The folder of a patch that lists the entries it changes, in other tensors than the two."""
    operations = {pico.UP: [pico.sparse((10, 6))], pico.NORM: [pico.replaced((6,))]}
    requests = [EditRequest("{} is", "a list", "sparse")]
    patch = pico.patch(desk.base, "acme/listed", operations=operations, requests=requests)
    return patch.files["patch.json"].parent
