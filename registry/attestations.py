"""An evaluation on its way: a canonical JSON file that says which version and base it is about."""

from dataclasses import dataclass

from ..patches.digests import sha256
from ..patches.errors import LimitExceeded, ManifestError
from ..patches.evaluation.base import Evaluation
from ..patches.format import jsonfile
from ..patches.format.fields import Fields

FORMAT = "weightpatch.attestation/1"
MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class Attestation:
    """An evaluation of the version with digest `version` on the base with fingerprint `base`."""

    version: str
    base: str
    evaluation: Evaluation

    def to_bytes(self) -> bytes:
        """The canonical bytes (RFC 8785); raises ManifestError, LimitExceeded."""
        record = {
            "format": FORMAT,
            "version": self.version,
            "base": self.base,
            "evaluation": self.evaluation.to_json(),
        }
        data = jsonfile.canonical(record, what="an attestation")
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"an attestation would be larger than {MAX_BYTES} bytes")
        return data

    @property
    def digest(self) -> str:
        """sha256 of the canonical bytes."""
        return sha256(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Attestation":
        """Read an attestation strictly; raises ManifestError, LimitExceeded."""
        if len(data) > MAX_BYTES:
            raise LimitExceeded(f"an attestation is larger than {MAX_BYTES} bytes")
        fields = Fields(jsonfile.parse_canonical(data, what="an attestation"), "an attestation")
        if fields.take("format") != FORMAT:
            raise ManifestError(
                f"an attestation must have the format {FORMAT!r}",
                hint="a newer weightpatch may be needed",
            )
        attestation = cls(
            version=fields.digest("version"),
            base=fields.digest("base"),
            evaluation=Evaluation.from_json(fields.take("evaluation")),
        )
        fields.done()
        return attestation
