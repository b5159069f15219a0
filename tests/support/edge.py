"""What CloudFront makes of ``infra/stacks/site.yaml``: which headers, which page for what is missing. No cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from perennial.deploy.template import read_template
from tests.support.template_rules.evaluation import Evaluated
from tests.support.templates import ROOT

PATH = "infra/stacks/site.yaml"
AWS = {"Stage": "prod", "SiteHosting": "cloudfront", "Transport": "tls", "AWS::Region": "eu-west-1",
       "AWS::AccountId": "123456789012", "AWS::URLSuffix": "amazonaws.com"}  # fmt: skip

Read = Callable[[str], tuple[bytes, str] | None]
"""Body and media type of a file of the site, by its path without the first slash; None where there is none."""


@dataclass(frozen=True)
class Edge:
    """The distribution of the template, as far as it says what is answered."""

    config: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]]

    def headers(self, path: str) -> dict[str, str]:
        """The headers that its policy adds to the answer for a path without its first slash."""
        behaviours = [one for one in self.config["CacheBehaviors"] if fnmatchcase(path, one["PathPattern"])]
        chosen = [*behaviours, self.config["DefaultCacheBehavior"]][0]
        said = self.policies[chosen["ResponseHeadersPolicyId"]]
        security = said["SecurityHeadersConfig"]
        age = security["StrictTransportSecurity"]["AccessControlMaxAgeSec"]
        found = {
            "content-security-policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
            "referrer-policy": security["ReferrerPolicy"]["ReferrerPolicy"],
            "strict-transport-security": f"max-age={age}; includeSubDomains",
            "x-frame-options": security["FrameOptions"]["FrameOption"],
        }
        found |= {"x-content-type-options": "nosniff"} if security["ContentTypeOptions"]["Override"] else {}
        own = said.get("CustomHeadersConfig", {}).get("Items", [])
        return found | {one["Header"]: one["Value"] for one in own}

    def missing(self) -> str:
        """The page for what S3 refuses, as it does what is not there."""
        (page,) = (one for one in self.config["CustomErrorResponses"] if one["ErrorCode"] == 403)
        assert page["ResponseCode"] == 404
        return str(page["ResponsePagePath"]).lstrip("/")


def edge() -> Edge:
    resources = Evaluated(PATH, read_template(ROOT / PATH), AWS).resources
    policies = {
        f"${{{name}}}": one.properties["ResponseHeadersPolicyConfig"]
        for name, one in resources.items()
        if one.kind == "AWS::CloudFront::ResponseHeadersPolicy"
    }
    return Edge(resources["Distribution"].properties["DistributionConfig"], policies)


@contextmanager
def answering(read: Read, api: str) -> Iterator[str]:
    """A distribution on a free port, whose pages may call ``api`` in place of the one in the cloud; its origin."""
    distribution = edge()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0].lstrip("/") or distribution.config["DefaultRootObject"]
            found = read(path)
            body, kind = found or read(distribution.missing()) or (b"", "text/plain")
            self.send_response(200 if found else 404)
            for name, value in distribution.headers(path).items():
                in_cloud = f"https://*.execute-api.{AWS['AWS::Region']}.amazonaws.com"
                self.send_header(name, value.replace(in_cloud, api))
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
