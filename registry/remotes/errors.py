"""Every error of a remote, each with a code a program can match.

WeightpatchError
└── RemoteError           a remote did not do what was asked             exit 1
    ├── RemoteUnreachable E_REMOTE      no answer, or none that can be used
    ├── RemoteBusy        E_RATE        too many requests for now
    ├── RemoteDenied      E_AUTH        not logged in, or not allowed to
    ├── RemoteNotFound    E_NOT_FOUND   no such repository, folder, version or file
    ├── RemoteRefused     E_REFUSED     what was asked makes no sense there
    └── RemoteRace        E_RACE        somebody else wrote at the same time

That a remote holds something else under the same number is `registry.errors.VersionClash`.
"""

from ...patches.errors import WeightpatchError


class RemoteError(WeightpatchError):
    """A remote did not do what was asked."""

    code = "E_REMOTE"


class RemoteUnreachable(RemoteError):
    """The remote gave no answer, or none that can be used."""


class RemoteBusy(RemoteError):
    """The remote wants fewer requests for a while."""

    code = "E_RATE"


class RemoteDenied(RemoteError):
    """The remote does not let this user do that."""

    code = "E_AUTH"


class RemoteNotFound(RemoteError):
    """The remote has no such repository, folder, version or file, or does not show it."""

    code = "E_NOT_FOUND"


class RemoteRefused(RemoteError):
    """The remote was reached, and what was asked of it makes no sense there."""

    code = "E_REFUSED"


class RemoteRace(RemoteError):
    """Somebody else wrote at the same time."""

    code = "E_RACE"
