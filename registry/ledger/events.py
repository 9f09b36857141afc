"""The name of everything that the ledger records, as `source.action`."""

from enum import StrEnum


class Event(StrEnum):
    """What happened. A name, once used, keeps its meaning: ledgers are for ever."""

    REGISTRY_CREATE = "registry.create"
    REGISTRY_UPGRADE = "registry.upgrade"
    REGISTRY_MEND = "registry.mend"
    BLOB_COLLECT = "blob.collect"
    BASE_RECORD = "base.record"
    VERSION_PUBLISH = "version.publish"
    VERSION_ADMIT = "version.admit"
    VERSION_EVALUATE = "version.evaluate"
    VERSION_YANK = "version.yank"
    VERSION_DELETE = "version.delete"
    VERSION_RESTORE = "version.restore"
    VERSION_PUSH = "version.push"
    VERSION_PULL = "version.pull"
    PROPOSAL_OPEN = "proposal.open"
    PROPOSAL_REVIEW = "proposal.review"
    PROPOSAL_ACCEPT = "proposal.accept"
    REMOTE_NAME = "remote.name"
    ALIAS_MOVE = "alias.move"
    BUILD_APPLY = "build.apply"
    BUILD_REVERT = "build.revert"
