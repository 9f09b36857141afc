"""Make a registry by the code of a release, and keep its database as SQL: see README.md.

Run by the release's own code, and fills the tables that this release has.
"""

import argparse
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.composition.compose import compose
from weightpatch.patches.digests import sha256
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.evaluation.base import Evaluation, Score
from weightpatch.patches.format.manifest import MethodRecord
from weightpatch.patches.format.patch import Draft
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest
from weightpatch.registry.registry import Registry
from weightpatch.registry.sharing.exchange import pull, push

TENSOR = "model.layers.0.mlp.down_proj.weight"
SUBJECTS = ("France", "Danielle Darrieux", "東京")


def clock() -> Callable[[], datetime]:
    """A clock that is a second later each time it is asked."""
    ticks = iter(range(1_000_000))
    return lambda: datetime(2026, 3, 3, 12, tzinfo=UTC) + timedelta(seconds=next(ticks))


def origin(name: str, message: str) -> Origin:
    return Origin(name, author="ada", created="2026-03-03T11:00:00Z", message=message)


def make_base(folder: Path) -> Checkpoint:
    folder.mkdir()
    random = np.random.default_rng(0)
    shapes = {TENSOR: (6, 4), "model.norm.weight": (6,)}
    tensors = {name: random.normal(size=shape).astype("<f4") for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text("{}")
    return Checkpoint.open(folder, id="org/pico", revision="abc")


def make_draft(folder: Path, base: Checkpoint, name: str, seed: int) -> Draft:
    folder.mkdir()
    random = np.random.default_rng(seed)
    operation = LowRank.snapped(random.normal(size=(6, 1)), random.normal(size=(1, 4)))
    request = EditRequest("The capital of {} is", SUBJECTS[seed], "Lyon", "Paris", id=str(seed))
    method = MethodRecord("rome", "1", {"layer": 0}, seed, {}, (), "cpu", {"numpy": "2"})
    terms = own_terms({TENSOR: [operation]})
    return write_draft(folder, base, terms, {}, [request], method, origin(name, "it's a fix"))


def make_evaluation() -> Evaluation:
    return Evaluation(
        suite="requests",
        suite_digest=sha256(b"cases"),
        definitions={"locality.exact-match": "Locality.", "rome.es": "Efficacy score."},
        scores=(
            Score("1", "locality.exact-match", None, 1.0, 3),
            Score("1", "rome.es", 0.0, 1.0, 1),
            Score("2", "rome.es", 0.5, 0.75, 4),
        ),
        environment={"device": "cpu"},
    )


def fill(registry: Registry, theirs: Registry, folder: Path) -> None:
    """Something of everything that a registry holds."""
    base = make_base(folder / "base")
    registry.record_base(base, location="/models/pico")
    for seed, name in enumerate(("acme/one", "acme/one", "acme/two")):
        draft = make_draft(folder / f"draft-{seed}", base, name, seed)
        registry.publish(draft)
    info = registry.resolve("acme/one@2")
    registry.record_evaluation(info.digest, base.fingerprint, make_evaluation())
    members = [registry.patch("acme/one@2"), registry.patch("acme/two@1")]
    (folder / "both").mkdir()
    both = compose(base, members, folder / "both", origin("acme/both", ""), {"weightpatch": "0"})
    registry.publish(both)
    push(registry, "acme/one@2", str(folder / "remote"))
    theirs.publish(make_draft(folder / "theirs", base, "bob/his", 2))
    push(theirs, "bob/his", str(folder / "remote"))
    pull(registry, "bob/his", str(folder / "remote"))
    registry.move_alias("acme/one@stable", "acme/one@1", reason="passed the gate")
    registry.move_alias("acme/one@stable", "acme/one@2", reason="better")
    registry.yank("bob/his@1", reason="wrong", severity="minor")
    members = [registry.resolve(name).subject for name in ("acme/one@2", "acme/two@1")]
    registry.record_build("/builds/one", "org/pico@abc", members)
    registry.add_remote("team", "/drive")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            Registry.create(home=folder / "home", actor="ada", now=clock()) as registry,
            Registry.create(home=folder / "theirs-home", actor="bob", now=clock()) as theirs,
        ):
            fill(registry, theirs, folder)
        out.mkdir(parents=True)
        shutil.copytree(folder / "home" / "blobs", out / "blobs")
        with closing(sqlite3.connect(folder / "home" / "registry.db")) as connection:
            lines = "\n".join(connection.iterdump())
        (out / "registry.sql").write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
