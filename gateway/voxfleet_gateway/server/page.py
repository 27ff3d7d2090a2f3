"""The built pages: speech at `/`, the fleet at `/fleet`, and their files below /assets/.

Knows: where scripts/web puts what it builds from web/, which placeholders a built page has; that a page may also
connect to the gateways whose round trips it measures (`/v1/rtt`), and to nothing else; that it names the location
databases whose licences ask for it.
Does not know: what the pages show.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from voxfleet_gateway.errors import RequestRefusedError
from voxfleet_gateway.refusals import pages_not_built
from voxfleet_gateway.server.clients.clients import Clients
from voxfleet_gateway.server.middleware import CONTEXT
from voxfleet_gateway.server.requests.authentication import ASSETS
from voxfleet_gateway.server.requests.speech_request import MAX_INPUT_CHARACTERS

BUILT: Final = Path(__file__).with_name("static")
NONCE: Final = "__CSP_NONCE__"
PAGE_CONTEXT: Final = "__PAGE_CONTEXT__"
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # after an update the page and the API must match, and a nonce is used once
}
# An asset's name holds the hash of its contents.
ASSET_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
}


@dataclass(slots=True)
class Pages:
    """The handlers. Where the pages are not built, they respond with how to build them."""

    clients: Clients
    built: Path = BUILT
    sources: dict[str, str] = field(init=False)
    assets: dict[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        """Read the pages, and the names of their files: a name of a request is looked up, and makes no path."""
        self.sources = {file.name: file.read_text(encoding="utf-8") for file in self.built.glob("*.html")}
        self.assets = {file.name: file for file in (self.built / "assets").glob("*")}

    async def speech(self, request: web.Request) -> web.Response:
        """Respond with the page for speech."""
        return self._page("index.html", request)

    async def fleet(self, request: web.Request) -> web.Response:
        """Respond with the page that shows the regions."""
        return self._page("fleet.html", request)

    async def asset(self, request: web.Request) -> web.FileResponse:
        """Respond with a file of the pages, as the build compressed it where the client takes that."""
        file = self.assets.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return web.FileResponse(file, headers=ASSET_HEADERS)

    def add_routes(self, app: web.Application) -> None:
        """Add the routes, but that of `/`, whose load is announced first."""
        app.router.add_get("/fleet", self.fleet)
        app.router.add_get(ASSETS + "{name}", self.asset)

    def _page(self, name: str, request: web.Request) -> web.Response:
        if name not in self.sources:
            raise RequestRefusedError(pages_not_built())
        caller = request[CONTEXT].caller
        urls = self.clients.rtt.gateway_urls(caller)
        context = {
            "servedBy": "gateway",
            "region": self.clients.rtt.store.gateway_region,
            "maxInputCharacters": MAX_INPUT_CHARACTERS,
            "needsKey": caller.is_catalog,
            "gatewayUrls": {region: url for region, url in urls.items() if origins([url])},
            "attributions": [each._asdict() for each in self.clients.locator.database.attributions()],
        }
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": content_security_policy(nonce, origins(urls.values()))}
        text = fill_page(self.sources[name], nonce, context)
        return web.Response(text=text, content_type="text/html", headers=HEADERS | policy)


def fill_page(source: str, nonce: str, context: Mapping[str, Any]) -> str:
    """Return the page of one response: with its nonce, and with what the page is to know of its server."""
    return source.replace(NONCE, nonce).replace(PAGE_CONTEXT, escape(json.dumps(context)))


def content_security_policy(nonce: str, measured: Iterable[str] = ()) -> str:
    """Return the policy: this gateway's files and API, blobs of audio, styles with the nonce, origins to measure."""
    allowed = {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "connect-src": " ".join(["'self'", *measured]),  # 'self' is also ws: and wss: of this host
        "img-src": "'self' blob:",
        "media-src": "'self' blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())


def origins(urls: Iterable[str]) -> list[str]:
    """Return the origins of URLs, as a policy names them; a host that could end a source list is left out."""
    parts = [urlsplit(url) for url in urls]
    allowed = {f"{each.scheme}://{each.netloc}" for each in parts if not set(each.netloc) & set(" ;,'\"")}
    return sorted(each for each in allowed if each.startswith("https://"))
