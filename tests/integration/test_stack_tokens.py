"""An API that asks for tokens, as its callers meet it: a stage of its own beside the shared one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from botocore.exceptions import ClientError

from perennial.deploy.ministack import interpreter
from perennial.deploy.package import Package, build_packages
from perennial.deploy.stack import Deployed, deploy
from perennial.deploy.up import BUILD, TEMPLATE, LocalStack
from perennial.errors import DeployError
from tests.support.issuer import Issuer, make_key, serving_issuer

AUDIENCE = "perennial-pages"

pytestmark = pytest.mark.needs("jwt")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


Deploy = Callable[..., Deployed]


@pytest.fixture(scope="module")
def deploy_stage(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys the stage ``tokens``, whose scoring nobody asks for: it has no code worth sending."""
    score = tmp_path_factory.mktemp("packages") / "score"
    score.mkdir()
    (score / "nothing.py").touch()
    packages = build_packages("local", BUILD, python=interpreter()) | {"score": Package(score, "0" * 64, 0.0, True)}

    def deploy_it(**parameters: str) -> Deployed:
        given = {"TrustedKeys": "unsigned"} | parameters
        return deploy(stack.aws(), packages, TEMPLATE, stage="tokens", parameters=given)

    return deploy_it


@pytest.fixture(scope="module")
def guarded(deploy_stage: Deploy, issuer: Issuer) -> Deployed:
    return deploy_stage(
        PredictionAccess="jwt", ReadingAccess="jwt", BatchAccess="iam", JwtIssuer=issuer.url,
        JwtAudience=f"others,{AUDIENCE}",
    )  # fmt: skip


def ask(guarded: Deployed, method: str, path: str, token: str | None = None) -> int:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, guarded.api_url + path, headers=headers, timeout=30).status_code


def test_only_who_shows_a_token_reads_and_asks(guarded: Deployed, issuer: Issuer) -> None:
    soon = int(time.time()) + 600
    token = issuer.token(expires=soon, audience=AUDIENCE)
    assert ask(guarded, "GET", "/models", token) == 200
    assert ask(guarded, "POST", "/models/none/predict", token) == 404  # the server's own word: it was let through
    refused = {
        "none": None,
        "for others": issuer.token(expires=soon, audience="elsewhere"),
        "over": issuer.token(expires=soon - 1200, audience=AUDIENCE),
        "forged": issuer.token(expires=soon, audience=AUDIENCE, key=make_key()),
        "of another issuer": issuer.token(expires=soon, audience=AUDIENCE, issuer="https://elsewhere.example"),
        "no token": "a.b.c",
    }
    for why, other in refused.items():
        for method, path in (("GET", "/models"), ("GET", "/ready"), ("POST", "/models/none/predict")):
            assert ask(guarded, method, path, other) == 401, why


def test_what_is_open_stays_open_and_what_is_iam_s_is_not_a_token_s(guarded: Deployed, issuer: Issuer) -> None:
    assert ask(guarded, "GET", "/health") == 200
    assert ask(guarded, "POST", "/models/none/feedback") == 415
    for path in ("/batches", "/models/none/batches"):
        assert ask(guarded, "POST", path) == 403


@pytest.mark.parametrize("path", ["//models", "/models/", "/%2Fmodels", "/x/../models", "/models/./none"])
def test_no_spelling_of_a_path_leads_around(guarded: Deployed, path: str) -> None:
    assert ask(guarded, "GET", path) in (401, 404)
    assert ask(guarded, "PUT", path) in (401, 404, 405)


def test_pages_may_send_the_token(guarded: Deployed, stack: LocalStack) -> None:
    origin = stack.site_url.split("/perennial")[0]
    asks = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    for api, may in ((guarded.api_url, True), (stack.api_url, False)):
        answer = httpx.options(f"{api}/models/none/predict", headers=asks)
        assert answer.headers["access-control-allow-origin"] == origin
        assert ("authorization" in answer.headers["access-control-allow-headers"]) is may


def test_accesses_that_do_not_fit_are_refused_in_words(guarded: Deployed, deploy_stage: Deploy) -> None:
    with pytest.raises(DeployError, match="so JwtIssuer must be given"):
        deploy_stage(PredictionAccess="jwt")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"BatchAccess": "jwt", "JwtIssuer": "https://id.example"}, "so JwtAudience must be given"),
        ({"JwtIssuer": "https://id.example", "JwtAudience": "a"}, "but no access is jwt"),
        ({"JwtIssuer": "http://id.example"}, "JwtIssuer"),
    ],
)
def test_so_are_those_that_come_by_another_tool(
    guarded: Deployed, stack: LocalStack, parameters: dict[str, str], said: str
) -> None:
    given = {"Stage": "tokens", "TrustedKeys": "unsigned"} | parameters
    with pytest.raises(ClientError, match=said):
        stack.aws().client("cloudformation").update_stack(
            StackName="perennial-tokens",
            UsePreviousTemplate=True,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )
