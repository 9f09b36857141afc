"""Find the commit of a version whose tag was never made, below newer versions."""

from ..files.parcel import Parcel, title
from ..repository.repository import MAIN, Repository

LOOKED_AT = 10


def find_commit(repository: Repository, parcel: Parcel) -> str | None:
    """The commit of the main branch that published these very files, if there is one.

    Only the newest `LOOKED_AT` commits of that title are looked at. Raises RemoteError.
    """
    wanted = title(parcel.bundle)
    named = [commit for commit, said in repository.history(MAIN) if said == wanted]
    for commit in named[:LOOKED_AT]:
        if parcel.is_at(repository.listing(commit)):
            return commit
    return None
