"""The pages behind CloudFront: they work under the headers of ``infra/stacks/site.yaml``, which let in nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from playwright.sync_api import Page, expect

from perennial.deploy.form import build_form
from perennial.deploy.site import content_type
from perennial.store import Store
from tests.support.edge import AWS, answering, edge
from tests.web.conftest import Context
from tests.web.web_harness import Api, free_port

REPORT = "data/iris/monitor/run/drift.html"
SPY = b"""<!doctype html><title>Spy</title><style>p { color: red }</style><p id="out"></p><script>
let kept = "none"; try { kept = localStorage.length } catch (error) { kept = error.name }
fetch("/config.json").catch(() => "refused").then((said) =>
  document.getElementById("out").textContent = [self.origin, kept, said].join(" "));
</script>"""


@pytest.fixture
def site(store: Store) -> Iterator[str]:
    """The origin of a distribution with the pages and one report."""
    port = free_port()
    dist = build_form()

    def read(path: str) -> tuple[bytes, str] | None:
        if path == "config.json":
            return f'{{"api": "http://127.0.0.1:{port}"}}'.encode(), content_type(path)
        if path == REPORT:
            return SPY, content_type(path)
        file = dist / path
        if not file.is_file():
            return None
        return file.read_bytes().replace(b"__API_ORIGIN__", f"http://127.0.0.1:{port}".encode()), content_type(path)

    with answering(read, f"http://127.0.0.1:{port}") as origin:
        api = Api(store, origin, port)
        api.start()
        yield origin
        api.stop()


@pytest.fixture
def page(context: Context) -> Iterator[Page]:
    """A page, of which no policy may have been broken in the end."""
    found, said = context().new_page(), list[str]()
    found.on("console", lambda message: said.append(message.text))
    yield found
    assert not [line for line in said if "Content Security Policy" in line or "Refused" in line]


def test_the_form_asks_and_is_answered(site: str, page: Page) -> None:
    page.goto(f"{site}/#iris")
    page.get_by_role("button", name="Predict").wait_for()
    for field in page.get_by_role("spinbutton").all():
        field.fill("1")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Was this right?")).to_be_visible()


def test_a_report_runs_and_reaches_nothing_in_its_frame_and_alone(site: str, context: Context) -> None:
    page = context().new_page()
    page.goto(f"{site}/report.html#{REPORT}")
    expect(page.frame_locator("iframe").locator("#out")).to_have_text("null SecurityError refused")
    page.goto(f"{site}/{REPORT}")  # where no frame of ours holds it, the header does
    expect(page.locator("#out")).to_have_text("null SecurityError refused")


def test_nobody_else_frames_the_form(site: str, context: Context) -> None:
    page = context().new_page()
    own = '<iframe src="data:text/html,<h1>Framed</h1>"></iframe>'
    page.route("http://elsewhere.example/", lambda route: route.fulfill(
        body=f'{own}<iframe src="{site}/index.html"></iframe>', content_type="text/html"))  # fmt: skip
    page.goto("http://elsewhere.example/")
    expect(page.frame_locator("iframe").nth(0).get_by_role("heading")).to_have_text("Framed")
    page.wait_for_load_state("networkidle")
    assert page.frames[2].url.startswith("chrome-error:")


def test_what_is_not_there_has_a_page_of_its_own(site: str, page: Page) -> None:
    answer = page.goto(f"{site}/data/../nowhere.html")
    assert answer is not None and answer.status == 404
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()


def test_pages_may_call_what_there_is_in_the_cloud_and_nothing_else() -> None:
    policy = edge().headers("index.html")["content-security-policy"]
    said = {each.split()[0]: each.split()[1:] for each in policy.split(";") if each.strip()}
    assert said["default-src"] == ["'none'"] and said["frame-ancestors"] == ["'none'"]
    own, api, bucket = said["connect-src"]
    assert own == "'self'" and fnmatchcase("https://abc.execute-api.eu-west-1.amazonaws.com", api)
    name = f"perennial-prod-data-{AWS['AWS::AccountId']}-eu-west-1"
    assert bucket == f"https://{name}.s3.eu-west-1.amazonaws.com"
    assert not {"*", "https:", "'unsafe-inline'", "'unsafe-eval'"} & {
        each for values in said.values() for each in values
    }


@pytest.mark.parametrize("path", ["index.html", "assets/app.js", REPORT])
def test_every_answer_is_of_one_kind_and_over_tls(path: str) -> None:
    headers = edge().headers(path)
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert ("sandbox allow-scripts" in headers["content-security-policy"]) == (path == REPORT)
