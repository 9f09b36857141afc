"""The loopback hub's catalogue: accounts, repositories, their cards, and the search among them."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import yaml
from loopback_accounts import is_member, logged_in, require_writer
from loopback_messages import Refused, Reply, Request
from loopback_repositories import MAIN, Repository, Tree
from loopback_routes import MODEL, PAGE, REVISION, Routes, paged

if TYPE_CHECKING:
    from loopback_hub import LoopbackHub

ROUTES = Routes()
_BRIEF = ("id", "modelId", "private", "tags", "library_name", "downloads", "likes", "createdAt")
_FULL = ("author", "sha", "lastModified", "gated", "disabled", "siblings")


@ROUTES("GET", "/api/whoami-v2")
def whoami(hub: "LoopbackHub", request: Request) -> Reply:
    who = logged_in(request.token)
    organisations = [{"type": "org", "name": name} for name in who.organisations]
    access = {"type": "access_token", "accessToken": {"displayName": "test", "role": who.role}}
    record = {"type": "user", "name": who.name, "fullname": who.name, "orgs": organisations}
    return Reply.json({**record, "auth": access})


@ROUTES("POST", "/api/repos/create")
def create(hub: "LoopbackHub", request: Request) -> Reply:
    record = request.json()
    name = f"{record.get('organization') or logged_in(request.token).name}/{record['name']}"
    require_writer(name, request.token)
    url = f"{hub.url}/{name}"
    if name in hub.repositories.by_name:
        raise Refused(409, None, "You already created this model repo", url=url)
    hub.make(name, private=record.get("visibility") == "private")
    return Reply.json({"url": url, "name": name})


@ROUTES("DELETE", "/api/repos/delete")
def delete(hub: "LoopbackHub", request: Request) -> Reply:
    record = request.json()
    name = f"{record.get('organization') or logged_in(request.token).name}/{record['name']}"
    hub.repositories.find(name, request.token, write=True)
    del hub.repositories.by_name[name]
    return Reply.json({})


@ROUTES("PUT", f"{MODEL}/settings")
def settings(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    repository = hub.repositories.find(name, request.token, write=True)
    record = request.json()
    repository.gated = record.get("gated", repository.gated)
    if "visibility" in record:
        repository.private = record["visibility"] == "private"
    return Reply.json({})


@ROUTES("GET", f"{MODEL}/auth-check")
def auth_check(hub: "LoopbackHub", request: Request, name: str) -> Reply:
    require_readable(hub.repositories.find(name, request.token), request.token)
    return Reply.json({})


@ROUTES("GET", f"{MODEL}/revision/{REVISION}")
@ROUTES("GET", MODEL)
def info(hub: "LoopbackHub", request: Request, name: str, revision: str = MAIN) -> Reply:
    repository = hub.repositories.find(name, request.token)
    return Reply.json(describe(repository, revision, blobs=request.flag("blobs"), card=True))


@ROUTES("GET", "/api/models")
def search(hub: "LoopbackHub", request: Request) -> Reply:
    found = [
        repository
        for repository in hub.repositories.by_name.values()
        if not repository.private or is_member(repository.name, request.token)
    ]
    records = [describe(repository, MAIN, card=True) for repository in found]
    order = {"createdAt": "createdAt"}.get(request.one("sort") or "", "lastModified")
    records = sorted(filter(_wanted(request), records), key=lambda each: each[order], reverse=True)
    shown = _shown(request)
    records = [{key: each[key] for key in each if key in shown} for each in records]
    size = min(hub.page, int(request.one("limit") or PAGE))
    return paged(hub, request, records, size)


@ROUTES("POST", "/api/validate-yaml")
def validate(hub: "LoopbackHub", request: Request) -> Reply:
    errors = []
    try:
        if not card_data(request.json()["content"].encode()):
            errors = [{"message": "the card has no metadata"}]
    except yaml.YAMLError:
        errors = [{"message": "the card's metadata is not YAML"}]
    return Reply.json({"errors": errors, "warnings": []}, 400 if errors else 200)


def require_readable(repository: Repository, token: str | None) -> None:
    """Raise Refused if the repository is gated, and the owner of the token is not let in."""
    if not repository.gated or is_member(repository.name, token):
        return
    if token is None or logged_in(token).name not in repository.granted:
        status = 401 if token is None else 403
        raise Refused(status, "GatedRepo", f"Access to model {repository.name} is restricted")


def describe(
    repository: Repository, revision: str, *, blobs: bool = False, card: bool = False
) -> dict[str, object]:
    """What the Hub says about a repository at a revision."""
    oid = repository.resolve(revision)
    tree = repository.commits[oid]
    data = card_data(tree["README.md"].data) if "README.md" in tree else {}
    record: dict[str, object] = {
        "id": repository.name,
        "modelId": repository.name,
        "author": repository.name.partition("/")[0],
        "sha": oid,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags(data),
        "createdAt": repository.log(oid)[-1].date,
        "lastModified": repository.history[repository.resolve(MAIN)].date,
        "siblings": siblings(tree, blobs=blobs),
    }
    if "library_name" in data:
        record["library_name"] = data["library_name"]
    if card:
        record["cardData"] = data
        record["model-index"] = data.get("model-index")
    return record


def siblings(tree: Tree, *, blobs: bool) -> list[dict[str, object]]:
    """The files of a commit, with their sizes and digests if that is asked for."""
    files: list[dict[str, object]] = []
    for path, blob in sorted(tree.items()):
        file: dict[str, object] = {"rfilename": path}
        if blobs:
            file |= {"size": len(blob.data), "blobId": blob.git}
        if blobs and blob.large:
            pointer = len(blob.pointer())
            file["lfs"] = {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": pointer}
        files.append(file)
    return files


def card_data(card: bytes) -> dict:
    """The metadata at the head of a card; raises YAMLError."""
    block = re.match(rb"---\r?\n(.*?)\r?\n---\r?\n", card, re.DOTALL)
    data = yaml.safe_load(block[1]) if block else {}
    return data if isinstance(data, dict) else {}


def tags(data: dict) -> list[str]:
    """The tags that the Hub derives from a card."""
    found = [*_listed(data.get("tags"))]
    found += _listed(data.get("library_name")) + _listed(data.get("language"))
    found += [f"license:{name}" for name in _listed(data.get("license"))]
    relation = data.get("base_model_relation", "finetune")
    for base in _listed(data.get("base_model")):
        found += [f"base_model:{base}", f"base_model:{relation}:{base}"]
    return list(dict.fromkeys(found))


def _listed(value: object) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _shown(request: Request) -> set[str]:
    """The properties of each model in a list: those that are asked for, or a few."""
    if "expand" in request.query:
        return {"id", *request.query["expand"]}
    shown = {*_BRIEF, *(_FULL if request.flag("full") else ())}
    return shown | ({"cardData", "model-index"} if request.flag("cardData") else set())


def _wanted(request: Request) -> Callable[[dict], bool]:
    filters = {tag for text in request.query.get("filter", []) for tag in text.split(",")}
    author = request.one("author")
    text = (request.one("search") or "").lower()

    def wanted(record: dict) -> bool:
        mine = author is None or record["author"] == author
        return mine and filters <= set(record["tags"]) and text in record["id"].lower()

    return wanted
