"""Notices on the embedded AWS: SNS with real subscriptions, a webhook named in Secrets Manager, and their faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from perennial.cli import app
from perennial.deploy.up import LocalStack
from perennial.jobs.notices import of_test, tell
from perennial.jobs.workspace import Workspace, open_workspace
from perennial.notify import Notice, Told, notify
from perennial.settings import Settings
from perennial.spec_policy import Notify
from perennial.store import Store
from tests.support.endpoint import client
from tests.support.shop import SPEC
from tests.support.webhook import PATH, Webhook, webhook

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
MODEL = "told-shop"
NOTICE = Notice(
    model=MODEL,
    kind="rejected",
    event="rejected-one-v1",
    subject=f"{MODEL}: version v1 was rejected",
    text="accuracy 0.7 is below the minimum 0.8.\n\nTo let it serve all the same: perennial promote told-shop v1",
    at=NOW,
    link="http://localhost/site/model.html#told-shop",
)


@dataclass
class Mailbox:
    """What a queue got that is subscribed to the topic for one model."""

    sqs: Any
    url: str

    def messages(self) -> list[dict[str, Any]]:
        """All that came since the last look; the emulator delivers before it answers who published."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [json.loads(each["Body"]) for each in found.get("Messages", [])]


@pytest.fixture(scope="module")
def topic(stack: LocalStack) -> Iterator[str]:
    """A topic of these tests alone."""
    sns = client(stack, "sns")
    arn: str = sns.create_topic(Name="notices-of-tests")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def mailbox(stack: LocalStack, topic: str) -> Iterator[Mailbox]:
    sns, sqs = client(stack, "sns"), client(stack, "sqs")
    url = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allowed | {"Resource": queue}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"FilterPolicy": json.dumps({"model": [MODEL]})}
    )["SubscriptionArn"]
    yield Mailbox(sqs, url)
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


@pytest.fixture
def secret(stack: LocalStack, hook: Webhook) -> Iterator[str]:
    manager = client(stack, "secretsmanager")
    name: str = manager.create_secret(Name="slack-of-tests", SecretString=hook.url)["Name"]
    yield name
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


Send = Callable[..., Told]


@pytest.fixture
def send(stack: LocalStack, store: Store, topic: str, request: pytest.FixtureRequest) -> Send:
    """Tells an event of this test's own."""

    def send(policy: Notify, notice: Notice = NOTICE, *, topic: str | None = topic, by: str = "a") -> Told:
        settings = Settings.load(stack.environment()).model_copy(update={"topic_arn": topic})
        event = notice.model_copy(update={"event": f"{notice.event}-{request.node.name}"})
        return notify(store, settings, policy, event, now=NOW, by=by)

    return send


def test_a_notice_reaches_the_topic_and_slack_once(send: Send, mailbox: Mailbox, hook: Webhook, secret: str) -> None:
    policy = Notify(slack_webhook_secret=secret)
    assert send(policy) == Told(sent=True, channels=("topic", "slack"))
    again = send(policy, by="b")
    assert not again.sent and again.note == "topic: it was told before; slack: it was told before"
    (mail,) = mailbox.messages()
    assert mail["Subject"] == "told-shop: version v1 was rejected"
    assert mail["Message"] == f"{NOTICE.text}\n\n{NOTICE.link}\n"
    values = {name: found["Value"] for name, found in mail["MessageAttributes"].items()}
    assert values == {"model": MODEL, "kind": "rejected"}
    (post,) = hook.posts
    assert post.startswith("*told-shop: version v1 was rejected*\naccuracy 0.7")
    assert mailbox.messages() == []


def test_a_subscription_for_one_model_hears_nothing_of_another(send: Send, mailbox: Mailbox) -> None:
    assert send(Notify(), NOTICE.model_copy(update={"model": "another"})).sent
    assert send(Notify(), NOTICE).sent
    assert [mail["MessageAttributes"]["model"]["Value"] for mail in mailbox.messages()] == [MODEL]


def test_addresses_are_subscribed_once_each_for_their_models(stack: LocalStack, send: Send, topic: str) -> None:
    sns = client(stack, "sns")

    def policies() -> dict[str, Any]:
        found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        mailed = {each["Endpoint"]: each["SubscriptionArn"] for each in found if each["Protocol"] == "email"}
        assert len(mailed) == sum(each["Protocol"] == "email" for each in found)
        said = {name: sns.get_subscription_attributes(SubscriptionArn=arn) for name, arn in mailed.items()}
        return {name: json.loads(each["Attributes"]["FilterPolicy"]) for name, each in said.items()}

    both = Notify(email=("ada@example.org", "bob@example.org"))
    for event in ("one", "two"):
        assert send(both, NOTICE.model_copy(update={"event": event})).problems == ()
    assert policies() == {"ada@example.org": {"model": [MODEL]}, "bob@example.org": {"model": [MODEL]}}
    assert send(Notify(email=("ada@example.org",)), NOTICE.model_copy(update={"model": "another"})).problems == ()
    assert policies() == {"ada@example.org": {"model": ["another", MODEL]}, "bob@example.org": {"model": [MODEL]}}


@pytest.mark.parametrize(
    "chosen",
    [
        {"model": ["another", {"prefix": "told-"}]},
        {"model": ["another"], "kind": ["drift"]},
        {"kind": ["drift"]},
        pytest.param({"model": "another"}, marks=pytest.mark.needs("lax-filters")),
        pytest.param(["another"], marks=pytest.mark.needs("lax-filters")),
    ],
)
def test_a_filter_that_somebody_made_himself_is_left_as_it_is(
    stack: LocalStack, send: Send, topic: str, mailbox: Mailbox, chosen: object
) -> None:
    sns, address = client(stack, "sns"), "own@example.org"
    arn = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)["SubscriptionArn"]
    try:
        said = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy"}
        sns.set_subscription_attributes(**said, AttributeValue=json.dumps(chosen))
        told = send(Notify(email=(address,)))
        assert told.channels == ("topic",) and len(mailbox.messages()) == 1
        assert "it is left as it is" in told.problems[0]
        found = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["FilterPolicy"]
        assert json.loads(found) == chosen
    finally:
        sns.unsubscribe(SubscriptionArn=arn)


def test_a_topic_that_is_gone_does_not_keep_slack_from_telling(send: Send, hook: Webhook, secret: str) -> None:
    gone = "arn:aws:sns:us-east-1:000000000000:gone"
    told = send(Notify(slack_webhook_secret=secret, email=("ada@example.org",)), topic=gone)
    assert told.channels == ("slack",) and len(hook.posts) == 1
    subscribing, publishing = told.problems
    assert "could not be subscribed" in subscribing
    assert publishing.startswith("topic: ") and "NotFound" in publishing


@pytest.mark.parametrize("fault", ["status", "silent"])
def test_a_webhook_that_fails_does_not_keep_the_topic_from_telling(
    send: Send, mailbox: Mailbox, hook: Webhook, secret: str, fault: str
) -> None:
    hook.status, hook.silent = (500, False) if fault == "status" else (200, True)
    told = send(Notify(slack_webhook_secret=secret))
    assert told.channels == ("topic",) and len(mailbox.messages()) == 1
    (problem,) = told.problems
    assert problem.startswith("slack: The webhook ") and PATH not in problem and hook.url not in problem


def test_a_secret_that_is_missing_or_no_address_is_named_and_not_shown(stack: LocalStack, send: Send) -> None:
    told = send(Notify(slack_webhook_secret="nowhere"), topic=None)
    assert not told.sent and "has no secret nowhere" in told.problems[0]
    manager = client(stack, "secretsmanager")
    manager.create_secret(Name="odd", SecretString="http://hooks.example.org/s3cr3t")
    told = send(Notify(slack_webhook_secret="odd"), NOTICE.model_copy(update={"event": "odd"}), topic=None)
    assert told.problems == ("slack: Secret odd holds no https address. Put the webhook's address there.",)


def test_the_console_s_way_to_keep_a_secret_is_understood(stack: LocalStack, send: Send, hook: Webhook) -> None:
    manager = client(stack, "secretsmanager")
    arn = manager.create_secret(Name="pairs", SecretString=json.dumps({"url": hook.url}))["ARN"]
    assert send(Notify(slack_webhook_secret=arn), topic=None).channels == ("slack",)
    assert len(hook.posts) == 1


def test_a_run_tells_with_a_link_to_the_model_s_page(
    stack: LocalStack, store: Store, hook: Webhook, secret: str, tmp_path: Path
) -> None:
    said: list[str] = []
    path = tmp_path / "model.yaml"
    path.write_text(SPEC.replace("name: shop", f"name: {MODEL}") + f"notify: {{slack_webhook_secret: {secret}}}\n")
    w: Workspace = open_workspace(path, "one", progress=said.append, now=lambda: NOW)
    assert tell(w, of_test(w)).channels == ("topic", "slack")
    assert f"{stack.site_url.rsplit('/', 1)[0]}/model.html#{MODEL}" in hook.posts[0]
    assert said == [f"told by topic: {MODEL}: a test message", f"told by slack: {MODEL}: a test message"]


def test_a_secret_that_is_not_there_is_named_once_with_how_to_make_it(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC + "notify: {slack_webhook_secret: absent-hook}\n")
    done = CliRunner().invoke(app, ["notify", str(path)])
    assert done.exit_code == 10
    assert done.stderr.count("Secrets Manager has no secret absent-hook") == 1
    made = "`aws secretsmanager create-secret --name absent-hook --secret-string URL --region us-east-1 --endpoint-url"
    assert made in done.stderr and "GetSecretValue" not in done.stderr


def test_the_command_sends_a_test_message_and_says_where_it_went(
    store: Store, hook: Webhook, secret: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(SPEC + f"notify: {{slack_webhook_secret: {secret}}}\n")
    done = CliRunner().invoke(app, ["notify", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["channels"] == ["topic", "slack"]
    assert hook.posts[0].startswith("*shop: a test message*")
    hook.status = 500
    refused = CliRunner().invoke(app, ["notify", str(path)])
    assert refused.exit_code == 10
    assert "sent by topic" in refused.stdout and "The webhook answered 500" in refused.stderr
