"""Look at a version on the Hub by its manifest alone, which is hashed; nothing else is fetched."""

from .....patches.digests import sha256
from .....patches.format.manifest import FileRecord, Manifest
from ...base import read_manifest
from ...catalogue import Glimpse
from ..files.parcel import is_attestation
from ..files.snapshot import Snapshot
from ..repository.listed import Listed
from .tagged import Version


def look(version: Version) -> Glimpse:
    """Read the manifest; raises RemoteError, and the InputError that says what is wrong with it."""
    snapshot = version.snapshot
    data = snapshot.manifest()
    manifest = read_manifest(data, snapshot.repository.patch, version.number)
    return Glimpse(
        manifest,
        sha256(data),
        location=version.location,
        revision=snapshot.commit,
        versions=tuple(sorted(version.refs.versions)),
        attestations=sum(map(is_attestation, snapshot.listed)),
        broken=tuple(_broken(manifest, snapshot)),
    )


def _broken(manifest: Manifest, snapshot: Snapshot) -> list[str]:
    return [
        name
        for name, record in sorted(manifest.files.items())
        if not _agree(record, snapshot.listed.get(name))
    ]


def _agree(record: FileRecord, listed: Listed | None) -> bool:
    """Whether what the Hub lists can be the file; of a small one it says no sha256."""
    if listed is None or listed.size != record.size:
        return False
    return listed.sha256 in (None, record.sha256)
