"""The site as files: what a build makes, what its page allows, and the modules' own tests."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.web.web_harness import FRONTEND, SiteHost, npm

BUDGETS = {
    "index.html": 120 * 1024,
    "batch.html": 130 * 1024,
    "model.html": 190 * 1024,
    "report.html": 110 * 1024,
}
PICTURES = 24 * 1024  # of what the form loads besides, where a model of pictures is chosen
NOTICES = "licenses.txt"
BESIDE = re.compile(rb"\./([\w-]+\.(?:js|css))")  # how a script names another file of the build
SCHEMELESS = re.compile(rb"https?://([a-z0-9.-]+)")
NAMESPACES = {b"www.w3.org", b"picocss.com"}  # of SVG and MathML, and in the notice of Pico's licence


class Markup(HTMLParser):
    """Elements, inline text of scripts and styles, and addresses a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style") and data.strip():
            self.inline.append(data)

    def policy(self) -> dict[str, list[str]]:
        content = next(each["content"] or "" for _, each in self.attributes if each.get("http-equiv"))
        return {words[0]: words[1:] for part in content.split(";") if (words := part.split())}

    def addresses(self) -> list[str]:
        return [value for _, each in self.attributes for key in ("src", "href") if (value := each.get(key))]


def files(dist: Path) -> dict[str, bytes]:
    return {path.relative_to(dist).as_posix(): path.read_bytes() for path in dist.rglob("*") if path.is_file()}


def loaded_with(built: dict[str, bytes], page: str) -> set[str]:
    """The page, and what it names."""
    return {page, *(address.removeprefix("./") for address in Markup(built[page].decode()).addresses())}


def loaded_later(built: dict[str, bytes], page: str) -> set[str]:
    """What the scripts of a page name, and the page does not."""
    first = loaded_with(built, page)
    found, look = set[str](), [name for name in first if name.endswith(".js")]
    while look:
        beside = {f"assets/{name.decode()}" for name in BESIDE.findall(built[look.pop()])} & set(built)
        look += [name for name in beside - found - first if name.endswith(".js")]
        found |= beside
    return found - first


def test_the_modules_pass_their_own_tests(dist: Path) -> None:
    output = npm("test")
    counts = {name: int(count) for name, count in re.findall(r"^\S (tests|pass|fail|skipped) (\d+)$", output, re.M)}
    assert counts["tests"] == counts["pass"] > 25


@pytest.mark.parametrize("page", BUDGETS)
def test_a_visit_stays_within_its_budget(dist: Path, page: str) -> None:
    built = files(dist)
    loaded = loaded_with(built, page)
    assert len(loaded) > 3
    assert sum(len(built[name]) for name in loaded) <= BUDGETS[page]


def test_the_form_for_pictures_comes_later_and_stays_within_its_own_budget(dist: Path) -> None:
    built = files(dist)
    later = loaded_later(built, "index.html")
    assert {Path(name).suffix for name in later} == {".js", ".css"}
    assert sum(len(built[name]) for name in later) <= PICTURES
    assert not any(loaded_later(built, page) for page in BUDGETS if page != "index.html")


def test_every_built_file_belongs_to_a_page(dist: Path) -> None:
    built = files(dist)
    assert set(built) == {NOTICES, "missing.html"}.union(
        *(loaded_with(built, page) | loaded_later(built, page) for page in BUDGETS)
    )


def test_the_same_sources_build_the_same_bytes(dist: Path) -> None:
    before = files(dist)
    assert "KiB" in npm("run", "build")
    assert files(dist) == before


@pytest.mark.parametrize("name", BUDGETS)
def test_a_page_loads_only_what_is_built_beside_it(dist: Path, name: str) -> None:
    page = Markup((dist / name).read_text())
    assert len(page.addresses()) >= 3
    for address in page.addresses():
        assert (dist / address).is_file(), address
    hosts = {host for body in (files(dist) | {NOTICES: b""}).values() for host in SCHEMELESS.findall(body)}
    assert hosts <= NAMESPACES


POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "require-trusted-types-for": ["'script'"],
    "trusted-types": ["'none'"],
}


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("index.html", {"connect-src": ["'self'", "__API_ORIGIN__"]}),
        ("batch.html", {"connect-src": ["'self'", "__API_ORIGIN__", "__UPLOAD_URL__"]}),
        ("model.html", {"connect-src": ["'self'"]}),
        ("report.html", {"frame-src": ["'self'"]}),
    ],
)
def test_the_policy_allows_nothing_it_need_not(dist: Path, name: str, more: dict[str, list[str]]) -> None:
    page = Markup((dist / name).read_text())
    assert page.inline == []
    assert not any(key.startswith("on") or key == "style" for _, each in page.attributes for key in each)
    assert page.policy() == POLICY | more


def test_publishing_names_what_the_pages_may_call(dist: Path, host: SiteHost) -> None:
    url = host.publish("https://api.example/stage/x", uploads="https://data.example/")
    bucket = url.split("/")[-2]
    names = ("index.html", "batch.html", "model.html", "config.json")
    read = {name: host.s3.get_object(Bucket=bucket, Key=name) for name in names}
    text = {name: each["Body"].read().decode() for name, each in read.items()}
    allowed = {name: Markup(text[name]).policy()["connect-src"] for name in names[:3]}
    assert allowed == {
        "index.html": ["'self'", "https://api.example"],
        "batch.html": ["'self'", "https://api.example", "https://data.example/"],
        "model.html": ["'self'"],
    }
    assert json.loads(text["config.json"]) == {"api": "https://api.example/stage/x"}
    assert read["index.html"]["ContentType"] == "text/html; charset=utf-8"


def test_the_lock_pins_by_hash_and_names_no_address() -> None:
    text = (FRONTEND / "package-lock.json").read_text()
    assert "http" not in text
    packages = {name: each for name, each in json.loads(text)["packages"].items() if name}
    assert packages
    for name, each in packages.items():
        assert each.get("integrity", "").startswith("sha512-"), name


def test_the_notices_of_what_is_bundled_go_with_it(dist: Path) -> None:
    notices = (dist / NOTICES).read_text()
    for name in json.loads((FRONTEND / "package.json").read_text())["dependencies"]:
        assert re.search(rf"^{re.escape(name)} \d+\.\d+\.\d+ \(\S+\)$", notices, re.M), name
    assert notices.count("Permission is hereby granted") == 3
