"""Every way in which a transfer breaks, and the error that it ends with, if there is one."""

from loopback_faults import (
    CREATING,
    DOWNLOAD,
    HANG_UP,
    UPLOAD,
    Fault,
    corrupt,
    cut,
    endless,
    lose_reply,
    short,
    with_headers,
)
from loopback_messages import Reply
from weightpatch.patches.errors import DigestMismatch, SizeMismatch
from weightpatch.registry.remotes.errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteNotFound,
    RemoteRace,
    RemoteRefused,
    RemoteUnreachable,
)

BUSY = Reply(429, b"", {"Retry-After": "3"})
CLOSED = Reply(429, b"", {"Retry-After": "3600"})
PERMISSION = "/objects/batch$|/xet-write-token/"
COMPLETION = "^/verify$|^/v1/shards$"
RESOLVE = r"/resolve/.*safetensors$"
TEXT = r"/requests\.jsonl$"
LOOP = Reply(302, b"", {"Location": "/acme/tongues/resolve/main/patch.json"})

PUSHES = {
    "upload cut": (Fault("PUT POST", UPLOAD, upload_stops=100), None),
    "upload 500": (Fault("PUT POST", UPLOAD, instead=Reply(500)), None),
    "upload 500 for ever": (
        Fault("PUT POST", UPLOAD, instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "upload 401": (Fault("PUT POST", UPLOAD, instead=Reply(401)), RemoteDenied),
    "upload 403": (Fault("PUT POST", UPLOAD, instead=Reply(403)), RemoteDenied),
    "upload reset for ever": (
        Fault("PUT POST", UPLOAD, instead=HANG_UP, times=None),
        RemoteUnreachable,
    ),
    "upload reply lost": (Fault("PUT POST", UPLOAD, after=lose_reply), None),
    "permission 401": (Fault("GET POST", PERMISSION, instead=Reply(401)), RemoteDenied),
    "permission 403": (Fault("GET POST", PERMISSION, instead=Reply(403)), RemoteDenied),
    "permission 404": (Fault("GET POST", PERMISSION, instead=Reply(404)), RemoteNotFound),
    "permission 429": (Fault("GET POST", PERMISSION, instead=BUSY), None),
    "permission 500": (Fault("GET POST", PERMISSION, instead=Reply(500)), None),
    "completion 400": (Fault("POST", COMPLETION, instead=Reply(400)), RemoteRefused),
    "completion 404": (Fault("POST", COMPLETION, instead=Reply(404)), RemoteNotFound),
    "completion 500": (Fault("POST", COMPLETION, instead=Reply(500)), None),
    "completion reply lost": (Fault("POST", COMPLETION, after=lose_reply), None),
    "card check 500": (Fault("POST", "/validate-yaml$", instead=Reply(500)), None),
    "card check 500 for ever": (
        Fault("POST", "/validate-yaml$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "preupload 429": (Fault("POST", "/preupload/", instead=BUSY), None),
    "preupload 429 for an hour": (Fault("POST", "/preupload/", instead=CLOSED), RemoteBusy),
    "preupload 500": (Fault("POST", "/preupload/", instead=Reply(500)), None),
    "preupload 500 for ever": (
        Fault("POST", "/preupload/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "commit 429": (Fault("POST", "/commit/", instead=BUSY), None),
    "commit 429 for ever": (Fault("POST", "/commit/", instead=BUSY, times=None), RemoteBusy),
    "commit 429 for an hour": (Fault("POST", "/commit/", instead=CLOSED), RemoteBusy),
    "commit 500": (Fault("POST", "/commit/", instead=Reply(500)), None),
    "commit 500 for ever": (
        Fault("POST", "/commit/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "commit 503": (Fault("POST", "/commit/", instead=Reply(503)), None),
    "commit 403": (Fault("POST", "/commit/", instead=Reply(403)), RemoteDenied),
    "commit made, 500": (Fault("POST", "/commit/", after=lambda _: Reply(500)), None),
    "commit made, reply lost": (Fault("POST", "/commit/", after=lose_reply), None),
    "commit overtaken": (Fault("POST", "/commit/", instead=Reply(412)), None),
    "commit overtaken for ever": (
        Fault("POST", "/commit/", instead=Reply(412), times=None),
        RemoteRace,
    ),
    "commit reset": (Fault("POST", "/commit/", instead=HANG_UP), None),
    "refs 500": (Fault("GET", "/refs$", instead=Reply(500)), None),
    "refs 500 for ever": (
        Fault("GET", "/refs$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "tree 500": (Fault("GET", "/tree/", instead=Reply(500)), None),
    "tree cut": (Fault("GET", "/tree/", after=cut(20)), None),
    "new repository 500": (Fault("GET", "/revision/main$", instead=Reply(500)), None),
    "new repository cut": (Fault("GET", "/revision/main$", after=cut(20)), None),
    "tag 500": (Fault("POST", "/tag/", instead=Reply(500)), None),
    "tag 500 for ever": (Fault("POST", "/tag/", instead=Reply(500), times=None), RemoteUnreachable),
    "tag made, reply lost": (Fault("POST", "/tag/", after=lose_reply), None),
    "repository 429": (Fault("POST", "/repos/create$", instead=BUSY), None),
    "repository 500 for ever": (
        Fault("POST", "/repos/create$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "repository while another": (Fault("POST", "/repos/create$", instead=CREATING), None),
    "repository while others for ever": (
        Fault("POST", "/repos/create$", instead=CREATING, times=None),
        RemoteRace,
    ),
    "repository made, reply lost": (Fault("POST", "/repos/create$", after=lose_reply), None),
}
"""What breaks, and the error that a push ends with, if it does."""

PULLS = {
    "download cut": (Fault("GET", DOWNLOAD, after=cut(20)), None, None),
    "download cut at once for ever": (
        Fault("GET", DOWNLOAD, after=cut(0), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download reset": (Fault("GET", DOWNLOAD, instead=HANG_UP), None, None),
    "download 429": (Fault("GET", DOWNLOAD, instead=BUSY), None, None),
    "download 500": (Fault("GET", DOWNLOAD, instead=Reply(500)), None, None),
    "download 500 for ever": (
        Fault("GET", DOWNLOAD, instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download 403": (Fault("GET", DOWNLOAD, instead=Reply(403)), None, None),
    "download 403 for ever": (
        Fault("GET", DOWNLOAD, instead=Reply(403), times=None),
        RemoteDenied,
        RemoteDenied,
    ),
    "download 404": (
        Fault("GET", DOWNLOAD, instead=Reply(404), times=None),
        RemoteNotFound,
        RemoteNotFound,
    ),
    "download short": (
        Fault("GET", DOWNLOAD, after=short, times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download without end": (Fault("GET", DOWNLOAD, after=endless), SizeMismatch, None),
    "wrong byte": (Fault("GET", DOWNLOAD, after=corrupt), None, None),
    "wrong byte for ever": (
        Fault("GET", DOWNLOAD, after=corrupt, times=None),
        DigestMismatch,
        DigestMismatch,
    ),
    "head 429": (Fault("HEAD", RESOLVE, instead=BUSY), None, None),
    "head 500": (Fault("HEAD", RESOLVE, instead=Reply(500)), None, None),
    "head 500 for ever": (
        Fault("HEAD", RESOLVE, instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "head without commit": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Repo_Commit="")),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "head with another digest": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Linked_Etag=f'"{"0" * 64}"')),
        None,
        None,
    ),
    "head with another size": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Linked_Size="7")),
        None,
        None,
    ),
    "redirects without end": (
        Fault("HEAD GET", "/resolve/", instead=LOOP, times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "tree 500": (Fault("GET", "/tree/", instead=Reply(500)), None, None),
    "tree cut": (Fault("GET", "/tree/", after=cut(20)), None, None),
    "refs 429": (Fault("GET", "/refs$", instead=BUSY), None, None),
    "refs 429 for an hour": (Fault("GET", "/refs$", instead=CLOSED), RemoteBusy, RemoteBusy),
    "refs 500": (Fault("GET", "/refs$", instead=Reply(500)), None, None),
    "refs 500 for ever": (
        Fault("GET", "/refs$", instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "refs cut": (Fault("GET", "/refs$", after=cut(20)), None, None),
}
"""What breaks with a large file, and the error of the pull, if any: by LFS, and by Xet."""

SMALL_PULLS = {
    **{
        case: (fault, error)
        for case, (fault, error, _) in PULLS.items()
        if fault.path == DOWNLOAD or case.startswith("redirects")
    },
    "way there 429": (Fault("GET", RESOLVE, instead=BUSY), None),
    "way there 429 for an hour": (Fault("GET", RESOLVE, instead=CLOSED), RemoteBusy),
    "way there 401": (Fault("GET", RESOLVE, instead=Reply(401)), RemoteDenied),
    "way there 403": (Fault("GET", RESOLVE, instead=Reply(403)), RemoteDenied),
    "way there 404": (Fault("GET", RESOLVE, instead=Reply(404)), RemoteNotFound),
    "way there 500": (Fault("GET", RESOLVE, instead=Reply(500)), None),
    "way there 500 for ever": (
        Fault("GET", RESOLVE, instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "way there reset": (Fault("GET", RESOLVE, instead=HANG_UP), None),
    "way there leads nowhere": (
        Fault("GET", RESOLVE, after=with_headers(Location="ftp://nowhere"), times=None),
        RemoteUnreachable,
    ),
    "text cut": (Fault("GET", TEXT, after=cut(20)), None),
    "text short": (Fault("GET", TEXT, after=short, times=None), RemoteUnreachable),
    "text without end": (Fault("GET", TEXT, after=endless), SizeMismatch),
    "text with a wrong byte": (Fault("GET", TEXT, after=corrupt), None),
    "text with a wrong byte for ever": (
        Fault("GET", TEXT, after=corrupt, times=None),
        DigestMismatch,
    ),
}
"""What breaks with a small file, which is asked for once, and the error, if there is one."""

XET_PULLS = {
    "token 401": (Fault("GET", "/xet-read-token/", instead=Reply(401)), RemoteDenied),
    "token 500": (Fault("GET", "/xet-read-token/", instead=Reply(500)), None),
    "plan 401": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(401), times=None),
        RemoteDenied,
    ),
    "plan 404": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(404), times=None),
        RemoteNotFound,
    ),
    "plan 500": (Fault("GET", "^/v./reconstructions/", instead=Reply(500)), None),
    "plan is no plan": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(200, b"<html>"), times=None),
        RemoteUnreachable,
    ),
    "hash is none": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Xet_Hash="evil")),
        RemoteUnreachable,
    ),
}
