"""Notices by SNS: published with their model and kind, so that a subscription can choose among them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from perennial.errors import NoticeUndelivered
from perennial.notify.aws import client, undelivered
from perennial.notify.notice import Notice
from perennial.settings import Settings

_ATTRIBUTE = "model"


def publish(settings: Settings, topic: str, notice: Notice) -> None:
    """Send a notice to a topic, by its ARN. Raises NoticeUndelivered."""
    text = f"{notice.body}\n\n{notice.link}\n" if notice.link else f"{notice.body}\n"
    attributes = {_ATTRIBUTE: notice.model, "kind": notice.kind}
    sns = client(settings, "sns", topic)
    with undelivered():
        sns.publish(
            TopicArn=topic,
            Subject=notice.headline,
            Message=text,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )


def subscribe(settings: Settings, topic: str, model: str, addresses: Sequence[str]) -> tuple[str, ...]:
    """Have the notices of one model sent to e-mail addresses; one that is subscribed for other models gets it besides.

    AWS asks each new addressee to confirm; one who has not, or who ended it, is left in peace, and returned. A
    subscription without a filter gets everything already.

    Raises:
        NoticeUndelivered: SNS does not answer, or refuses.
    """
    if not addresses:
        return ()
    sns = client(settings, "sns", topic)
    waiting = []
    with undelivered():
        known = dict(_mailed(sns, topic))
        for address in addresses:
            arn = known.get(address)
            if arn is None:
                arn = sns.subscribe(
                    TopicArn=topic, Protocol="email", Endpoint=address, Attributes={"FilterPolicy": _policy([model])}
                )["SubscriptionArn"]
            if not arn.startswith("arn:"):
                waiting.append(address)
            elif address in known:
                _widen(sns, arn, model)
    return tuple(waiting)


def _mailed(sns: Any, topic: str) -> Iterator[tuple[str, str]]:
    """Addresses subscribed to the topic, each with its subscription's ARN, or a word where it is not confirmed."""
    for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic):
        for found in page["Subscriptions"]:
            if found["Protocol"] == "email":
                yield found["Endpoint"], found["SubscriptionArn"]


def _widen(sns: Any, arn: str, model: str) -> None:
    """Let the filter of a subscription pass one model more."""
    said = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"].get("FilterPolicy")
    if not said:
        return
    chosen = _models(said)
    if chosen is None:
        raise NoticeUndelivered(f"{arn} has a filter that was not made here; it is left as it is.")
    if model not in chosen:
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=_policy([*chosen, model])
        )


def _models(said: str) -> list[str] | None:
    """The models that a filter passes; None for one that :func:`_policy` does not make."""
    try:
        found = json.loads(said)
    except ValueError:
        return None
    chosen = found.get(_ATTRIBUTE) if isinstance(found, dict) and len(found) == 1 else None
    return chosen if isinstance(chosen, list) and all(isinstance(one, str) for one in chosen) else None


def _policy(models: Sequence[str]) -> str:
    return json.dumps({_ATTRIBUTE: sorted(models)})
