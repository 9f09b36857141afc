"""The loopback hub's large files: uploads by LFS, tokens for Xet, and where a download is.

The storage is another origin than the hub, so a client must not send it the user's token.
"""

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

from loopback_catalogue import require_readable
from loopback_commits import require_uploader
from loopback_messages import Refused, Reply, Request
from loopback_routes import MODEL, NAME, REVISION, Routes

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
_OID = "(?P<oid>[0-9a-f]{64})"


@ROUTES("POST", f"/{NAME}.git/info/lfs/objects/batch")
def batch(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    record = request.json()
    branch = record.get("ref", {}).get("name")
    proposing = "refs/pr/" if branch is None or branch.startswith("refs/pr/") else ""
    require_uploader(hub, request, name, proposing)
    return Reply.json({"objects": [_upload(hub, item) for item in record["objects"]]})


def _upload(hub: "LoopbackHub", item: dict) -> dict:
    if item["oid"] in hub.repositories.objects:
        return item
    href = f"{hub.storage}/storage/{item['oid']}"
    if item["size"] <= hub.part:
        upload = {"href": href, "header": {}}
    else:
        numbers = range(1, -(-item["size"] // hub.part) + 1)
        parts = {f"{number}": f"{href}/{number}" for number in numbers}
        upload = {"href": f"{hub.url}/complete", "header": {"chunk_size": f"{hub.part}", **parts}}
    return {**item, "actions": {"upload": upload, "verify": {"href": f"{hub.url}/verify"}}}


@ROUTES("PUT", f"/storage/{_OID}(?:/(?P<part>[0-9]+))?")
def store(hub: "LoopbackHub", request: Request, oid: str, part: str | None) -> Reply:
    _require_no_token(request)
    if part is not None:
        hub.parts[oid, int(part)] = request.body
        return Reply(headers={"ETag": f'"{part}"'})
    _keep(hub, oid, request.body)
    return Reply()


@ROUTES("POST", "/complete")
def complete(hub: "LoopbackHub", request: Request) -> Reply:
    record = request.json()
    numbers = sorted(part["partNumber"] for part in record["parts"])
    _keep(hub, record["oid"], b"".join(hub.parts.pop((record["oid"], at)) for at in numbers))
    return Reply.json({})


@ROUTES("POST", "/verify")
def verify(hub: "LoopbackHub", request: Request) -> Reply:
    record = request.json()
    if len(hub.repositories.objects.get(record["oid"], b"")) != record["size"]:
        raise Refused(404, None, "the object is not there")
    return Reply.json({})


@ROUTES("GET HEAD", f"/storage/{_OID}")
def load(hub: "LoopbackHub", request: Request, oid: str) -> Reply:
    _require_no_token(request)
    return Reply.content(hub.repositories.objects[oid], request, {"ETag": f'"{oid}"'})


@ROUTES("GET", f"{MODEL}/xet-(?P<kind>read|write)-token/{REVISION}")
def xet_token(hub: "LoopbackHub", request: Request, name: str, kind: str, revision: str) -> Reply:
    if kind == "write":
        require_uploader(hub, request, name, revision)
    else:
        require_readable(hub.repositories.find(name, request.token), request.token)
    token, expires = hub.xet.token(kind)
    headers = {
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(expires),
        "X-Xet-Cas-Url": hub.storage,
    }
    return Reply.json({"accessToken": token, "exp": expires, "casUrl": hub.storage}, **headers)


@ROUTES("GET HEAD", f"/{NAME}/resolve/{REVISION}/(?P<path>.+)")
def resolve(hub: "LoopbackHub", request: Request, name: str, revision: str, path: str) -> Reply:
    repository = hub.repositories.find(name, request.token)
    require_readable(repository, request.token)
    oid = repository.resolve(revision)
    blob = repository.commits[oid].get(path)
    if blob is None:
        refused = Refused(404, "EntryNotFound", "Entry not found")
        refused.reply.headers["X-Repo-Commit"] = oid
        raise refused
    headers = {"X-Repo-Commit": oid, "ETag": f'"{blob.git}"'}
    if not blob.large:
        return Reply.content(blob.data, request, headers)
    hub.repositories.keep(blob.data)
    headers["X-Linked-Etag"] = f'"{blob.sha256}"'
    headers["X-Linked-Size"] = str(len(blob.data))
    headers["X-Xet-Hash"] = hub.xet.hash_of(blob.data, blob.sha256)
    tokens = f"{hub.url}/api/models/{quote(name)}/xet-read-token/{oid}"
    headers["Link"] = f'<{tokens}>; rel="xet-auth"'
    headers["Location"] = f"{hub.storage}/storage/{blob.sha256}"
    return Reply(302, b"", headers)


def _keep(hub: "LoopbackHub", oid: str, data: bytes) -> None:
    if hashlib.sha256(data).hexdigest() != oid:
        raise Refused(400, None, "these are not the bytes of that sha256")
    hub.repositories.keep(data)


def _require_no_token(request: Request) -> None:
    if "authorization" in request.headers:
        raise Refused(400, None, "the token was sent to the storage")
