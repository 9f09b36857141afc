"""The name of everything that the ledger records, as `source.action`."""

from enum import StrEnum


class Event(StrEnum):
    """What happened. A name, once used, keeps its meaning: ledgers are for ever."""

    REGISTRY_CREATE = "registry.create"
    BASE_RECORD = "base.record"
    VERSION_PUBLISH = "version.publish"
    VERSION_ADMIT = "version.admit"
    VERSION_EVALUATE = "version.evaluate"
    VERSION_PUSH = "version.push"
    VERSION_PULL = "version.pull"
    BUILD_APPLY = "build.apply"
    BUILD_REVERT = "build.revert"
