"""Composing in every way, with pico patches."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pico_fixtures import Pico
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.composition.compose import Blend, compose
from weightpatch.patches.draft import Origin
from weightpatch.patches.format.patch import Patch


def blend(
    root: Path, base: Checkpoint, patches: Sequence[Patch], blend: Blend, name: str = "acme/merged"
) -> Patch:
    """The composition in a folder of its own."""
    folder = root / name.replace("/", "-")
    folder.mkdir()
    origin = Origin(name, author="ada", created="2026-01-31T12:00:00Z")
    return compose(base, patches, folder, origin, {"weightpatch": "0"}, blend).as_patch()


@pytest.fixture
def blended(pico: Pico):
    """Compose in a folder of the test."""

    def run(base: Checkpoint, patches: Sequence[Patch], name: str = "acme/merged", **options):
        return blend(pico.root, base, patches, Blend(**options), name)

    return run
