"""The steps of a rebase: what the version scores on its base, and the two ways to another one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..patches.errors import BaseMismatch, CheckpointRefused
from ..patches.progress import Progress
from .app import App
from .model_options import settings_of
from .publishing import publish
from .scoring import score
from .within import require_not_within

if TYPE_CHECKING:
    from ..patches.checkpoints.checkpoint import Checkpoint
    from ..patches.checkpoints.models import EditableModel
    from ..patches.draft import Origin
    from ..patches.evaluation.base import Evaluation, Mean
    from ..patches.format.patch import Draft, Patch
    from ..patches.methods.base import Resources
    from ..registry.registry import EvaluationInfo, Registry, VersionInfo

SUITE = "requests"
AGAIN, CARRY, AS_IS = "again", "carry", "as it is"


@dataclass(frozen=True)
class Known:
    """What a version scores on its own base; `source` says since when that is known."""

    base: str
    means: "Mapping[str, Mean]"
    source: str


@dataclass(frozen=True)
class Attempt:
    """A version for the new base, scored there; without a draft it is the old one, which fits.

    `left` are hyperparameters that were not taken over, with what they were.
    """

    how: str
    draft: "Draft | None"
    evaluations: "tuple[Evaluation, ...]"
    left: Mapping[str, Any] = field(default_factory=dict)

    @property
    def means(self) -> "Mapping[str, Mean]":
        """Scores on the new base, before and after."""
        return self.evaluations[0].means()


@dataclass(frozen=True)
class Rebasing:
    """One version on its way from `old`, which may not be at hand, to `onto`."""

    app: App
    registry: "Registry"
    patch: "Patch"
    onto: "Checkpoint"
    old: "Checkpoint | None"
    options: Mapping[str, Any]
    progress: Progress

    @cached_property
    def model(self) -> "EditableModel":
        """The new base, loaded."""
        from ..patches.checkpoints.models import load_model

        return load_model(self.onto, device=self.options["device"])

    @cached_property
    def outline(self) -> "EditableModel | None":
        """The old base without its weights, if it is at hand."""
        from ..patches.checkpoints.models import outline

        return outline(self.old) if self.old else None

    def known(self) -> Known | None:
        """Scores on the old base: stored ones, or else measured now; None if neither can be had.

        Stored ones are taken if they are answers to the same questions, and were measured here on
        this very base; those of others, or of a base that is not at hand, only if need be.
        """
        if self.old is None:
            found = self._stored(base=None)
            if found is None:
                return None
            return Known(self._made_for, found.means, f"stored, {_origin(found)}")
        found = self._stored(base=self.old.fingerprint)
        if found is not None:
            return Known(self.old.id, found.means, f"stored, {_origin(found)}")
        evaluation = self._score_old(self.old)
        return Known(self.old.id, evaluation.means(), "scored now")

    def carried(self, folder: Path, origin: "Origin") -> Attempt:
        """The version as it is, if it fits, or its delta as a draft; raises as `carry`."""
        from ..patches.rebasing.carry import carry, overwritten, require_room, require_same_tokens

        require_not_within(self.app, [self.patch], self.onto)
        require_room(self.patch, self.onto)
        require_same_tokens(self.patch, self.model, self.outline)
        if self._is_known and self._fits() and not self._has_other_name:
            return Attempt(AS_IS, None, (self._score(self.patch),))
        if replaced := overwritten(self.patch):
            more = f" and {len(replaced) - 1} more" if len(replaced) > 1 else ""
            self.app.output.note(
                f"warning: the delta replaces entries of {replaced[0]}{more}: "
                "those of the new base are lost"
            )
        draft = carry(folder, self.patch, self.onto, origin)
        return Attempt(CARRY, draft, (self._score(draft.as_patch()),))

    def again(self, folder: Path, origin: "Origin") -> Attempt:
        """The same requests, carried out once more by the same method; raises as `make`."""
        from ..patches.rebasing.again import make_again, recipe_again
        from .making import made

        app, model, options = self.app, self.model, self.options
        again = recipe_again(self.patch, model, self.outline, settings_of(options["settings"]))

        def make(resources: "Resources") -> "Draft":
            return make_again(
                folder, self.patch, model, again, origin, resources, progress=self.progress
            )

        draft, effort = made(app, model, again.recipe.method, self.patch.requests, options, make)
        return Attempt(AGAIN, draft, (self._score(draft.as_patch()), effort), again.left)

    def publish(self, attempt: Attempt) -> "VersionInfo":
        """Put a new version, if it is one, and its scores into the registry."""
        if attempt.draft is not None:
            return publish(self.registry, attempt.draft, self.onto, attempt.evaluations)
        # What is remembered of its base stays as it is.
        version = self.registry.resolve(f"sha256:{self.patch.digest}")
        for evaluation in attempt.evaluations:
            self.registry.record_evaluation(version.digest, self.onto.fingerprint, evaluation)
        return version

    @property
    def _has_other_name(self) -> bool:
        return self.options["name"] not in (None, self.patch.manifest.name)

    @cached_property
    def _is_known(self) -> bool:
        """Whether the registry holds the version: it may have come from a folder."""
        from ..registry.errors import NotFound

        try:
            self.registry.resolve(f"sha256:{self.patch.digest}")
        except NotFound:
            return False
        return True

    def _fits(self) -> bool:
        from ..patches.base_match import match_base

        try:
            match_base(self.patch, self.onto)
        except BaseMismatch:
            return False
        return True

    @property
    def _made_for(self) -> str:
        return self.patch.manifest.bases[0].label

    def _score(self, patch: "Patch") -> "Evaluation":
        return score(self.model, patch, SUITE, self.progress, self.app.config.cache)

    def _score_old(self, old: "Checkpoint") -> "Evaluation":
        from ..patches.checkpoints.models import load_model

        model = load_model(old, device=self.options["device"])
        evaluation = score(model, self.patch, SUITE, self.progress, self.app.config.cache)
        if self._is_known:
            self.registry.record_base(old, location=str(old.path.resolve()))
            self.registry.record_evaluation(self.patch.digest, old.fingerprint, evaluation)
        return evaluation

    def _stored(self, base: str | None) -> "EvaluationInfo | None":
        """The newest stored scores on `base`, of our own making; on any other base for None."""
        from ..patches import plugins
        from ..patches.evaluation.base import suite_digest
        from ..registry.evaluations import HERE

        asked = suite_digest(plugins.load("suites", SUITE)().cases(self.patch.requests))
        found = [
            one
            for one in self.app.evaluations(self.patch)
            if one.suite == SUITE and one.suite_digest == asked
        ]
        if base is not None:
            found = [one for one in found if one.base == base and one.origin == HERE]
        else:
            found = [one for one in found if one.base != self.onto.fingerprint]
            found.sort(key=lambda one: one.origin != HERE)
        return found[0] if found else None


def old_base(app: App, patch: "Patch", spec: str | None) -> "Checkpoint | None":
    """The base that a version was made for, if it is named or remembered; raises BaseMismatch."""
    from ..patches.base_match import match_base

    try:
        found = app.base_for([patch], spec)
    except CheckpointRefused:
        if spec is not None:
            raise
        app.output.note(f"note: the base of {patch.label} is not at hand; --base names it")
        return None
    match_base(patch, found)
    return found


def _origin(info: "EvaluationInfo") -> str:
    from ..registry.evaluations import HERE

    return "measured here" if info.origin == HERE else f"as {info.origin} says"
