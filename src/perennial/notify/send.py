"""``notify``: a notice by every channel that is configured, once, and without ever failing who sends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from perennial.errors import PerennialError
from perennial.notify import slack, topic
from perennial.notify.notice import Channel, Notice, Told
from perennial.notify.once import tell_once
from perennial.settings import Settings
from perennial.spec_policy import Notify
from perennial.store import Store

NOBODY = "Nobody is told: there is neither a topic (PERENNIAL_TOPIC_ARN) nor a webhook (notify.slack_webhook_secret)."


def notify(store: Store, settings: Settings, policy: Notify, notice: Notice, *, now: datetime, by: str) -> Told:
    """Tell people by the topic of ``settings`` and by the webhook that ``policy`` names.

    An event goes out by each channel once, also where several processes tell it at the same time. Where one dies
    between claiming and sending, or cannot send, whoever tells the event again after five minutes sends it.

    Args:
        notice: what to tell.
        now: the time of the claim.
        by: of this call alone, such as random text: tells its claim from others.

    Returns:
        What happened. Nothing that goes wrong on the way is raised; it stands in ``problems``.
    """
    problems: list[str] = []
    channels = _channels(settings, policy, notice, problems)
    if policy.email and not settings.topic_arn:
        problems.append("topic: notify.email names addresses, but no topic is named (PERENNIAL_TOPIC_ARN).")
    sent: list[Channel] = []
    notes: list[str] = []
    for name, send in channels.items():
        try:
            why_not = tell_once(store, notice.model, f"{notice.event}.{name}", by=by, now=now, send=send)
        except PerennialError as error:
            problems.append(f"{name}: {error}")
            continue
        if why_not:
            notes.append(f"{name}: {why_not}")
        else:
            sent.append(name)
    note = "; ".join(notes) if channels or problems else NOBODY
    return Told(sent=bool(sent), channels=tuple(sent), problems=tuple(problems), note=note)


def _channels(
    settings: Settings, policy: Notify, notice: Notice, problems: list[str]
) -> dict[Channel, Callable[[], None]]:
    """What to do for each channel that is configured; ``problems`` takes what does not keep a notice from going out."""
    found: dict[Channel, Callable[[], None]] = {}
    if arn := settings.topic_arn:

        def publish() -> None:
            try:
                for address in topic.subscribe(settings, arn, notice.model, policy.email):
                    problems.append(f"topic: {address} has not confirmed its subscription.")
            except PerennialError as error:
                problems.append(f"topic: the addresses of notify.email could not be subscribed: {error}")
            topic.publish(settings, arn, notice)

        found["topic"] = publish
    if secret := policy.slack_webhook_secret:
        found["slack"] = lambda: slack.post(slack.webhook(settings, secret), notice)
    return found
