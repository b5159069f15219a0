"""Notices by an incoming webhook of Slack. Whoever knows its address can post, so the address is never repeated."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from perennial.errors import NoticeUndelivered
from perennial.notify.aws import client, undelivered
from perennial.notify.notice import Notice
from perennial.settings import Settings, on_this_machine

WAIT_SECONDS = 5.0
_REASON = re.compile(r"[a-z_]{1,40}")  # as Slack names one: invalid_token, no_service


def webhook(settings: Settings, secret: str) -> str:
    """The address in a secret of Secrets Manager, by its name or ARN: alone, or as the one value of a JSON object.

    Raises:
        NoticeUndelivered: the secret cannot be read, or holds no https address (http is for this machine alone); or
            ``secret`` is such an address itself, which is asked for nowhere, since whoever is asked keeps a log.
    """
    if "://" in secret:
        raise NoticeUndelivered(
            "notify.slack_webhook_secret holds an address.",
            remedy="Put the address into Secrets Manager, the secret's name here, and have Slack make a new address.",
        )
    manager = client(settings, "secretsmanager", secret)
    with undelivered():
        try:
            value: str = manager.get_secret_value(SecretId=secret).get("SecretString") or ""
        except manager.exceptions.ResourceNotFoundException as error:
            raise NoticeUndelivered(
                f"Secrets Manager has no secret {secret} (notify.slack_webhook_secret).",
                remedy=_creation(settings, secret),
            ) from error
    url = _only_value(value).strip()
    if not _allowed(url):
        raise NoticeUndelivered(f"Secret {secret} holds no https address.", remedy="Put the webhook's address there.")
    return url


def _creation(settings: Settings, secret: str) -> str:
    name = "NAME" if secret.startswith("arn:") else shlex.quote(secret)  # an ARN ends in what AWS makes up
    endpoint = f" --endpoint-url {settings.aws_endpoint_url}" if settings.aws_endpoint_url else ""
    variables = ' after `eval "$(perennial env)"`' if settings.emulated else ""
    return (
        f"Make it{variables}: `aws secretsmanager create-secret --name {name} --secret-string URL "
        f"--region {settings.region}{endpoint}`, with the webhook's address as URL."
    )


def post(url: str, notice: Notice, *, timeout: float = WAIT_SECONDS) -> None:
    """Post a notice, waiting at most ``timeout`` seconds for each part of the answer; a redirect is not followed.

    Raises:
        NoticeUndelivered: the webhook does not answer, or refuses.
    """
    parts = [f"*{_escaped(' '.join(notice.subject.split()))}*", _escaped(notice.body)]
    if notice.link:
        parts.append(f"<{_escaped(notice.link)}|{_escaped(notice.model)}>")
    body = json.dumps({"text": "\n".join(parts)}).encode()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - see _allowed
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout) as answer:
            answer.read(1)
        return
    except urllib.error.HTTPError as error:
        with error:
            problem = f"answered {error.code}{_reason(error)}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        silent = isinstance(cause, TimeoutError)
        problem = f"did not answer within {timeout:g} s" if silent else f"cannot be reached ({type(cause).__name__})"
    raise NoticeUndelivered(f"The webhook {problem}.", remedy="Is the address in the secret right?")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _only_value(text: str) -> str:
    """What a secret holds: Secrets Manager's console makes a JSON object of it, other tools leave it as it is."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    values = list(found.values()) if isinstance(found, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], str) else text


def _allowed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and on_this_machine(url)))
    except ValueError:
        return False


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        said = error.read(41).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return ""
    return f" ({said})" if _REASON.fullmatch(said) else ""


def _escaped(text: str) -> str:
    """As Slack asks for: these three have a meaning in its messages."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
