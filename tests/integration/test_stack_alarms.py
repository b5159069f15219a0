"""Alarms reach people, and what the capture could not keep is set aside: on the deployed stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from perennial.deploy.up import LocalStack
from tests.support.endpoint import client

STAGE = "perennial-local"


@pytest.fixture
def told(stack: LocalStack) -> Iterator[str]:
    """A queue that is subscribed to the topic of notices."""
    sns, sqs = client(stack, "sns"), client(stack, "sqs")
    queue = sqs.create_queue(QueueName="listens-for-alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": stack.topic_arn}}}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    subscription = sns.subscribe(TopicArn=stack.topic_arn, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    yield queue
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def received(stack: LocalStack, queue: str, seconds: int) -> dict[str, Any]:
    sqs = client(stack, "sqs")
    [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds).get("Messages", [])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    found: dict[str, Any] = json.loads(message["Body"])
    return found


def told_of(stack: LocalStack, queue: str, alarm: str, value: str) -> dict[str, Any]:
    """The notice that one alarm is in one state; others, which the functions of the stack set off, may come between."""
    for _ in range(50):
        found: dict[str, Any] = json.loads(received(stack, queue, 5)["Message"])
        if (found["AlarmName"], found["NewStateValue"]) == (f"{STAGE}-{alarm}", value):
            return found
    raise AssertionError(f"{alarm} never told that it is in {value}")


def test_an_alarm_is_told_to_the_topic_and_so_is_its_end(stack: LocalStack, told: str) -> None:
    cloudwatch = client(stack, "cloudwatch")
    for value in ("ALARM", "OK"):
        cloudwatch.set_alarm_state(AlarmName=f"{STAGE}-api-errors", StateValue=value, StateReason="a drill")
        assert told_of(stack, told, "api-errors", value)["NewStateReason"] == "a drill"


@pytest.mark.needs("counted-alarms")
def test_what_the_api_counts_sets_off_its_alarm(stack: LocalStack, told: str) -> None:
    """The emulator looks at no dimensions: that they are those of this stage, test_alarms.py shows."""
    cloudwatch = client(stack, "cloudwatch")
    where = [{"Name": "service", "Value": f"{STAGE}-api"}]
    datum = {"MetricName": "IntegrityFailure", "Dimensions": where, "Value": 1.0, "Unit": "Count"}
    cloudwatch.put_metric_data(Namespace="Perennial", MetricData=[{**datum, "Timestamp": datetime.now(UTC)}])
    cloudwatch.describe_alarms(AlarmNames=[f"{STAGE}-integrity"])
    assert told_of(stack, told, "integrity", "ALARM")["Trigger"]["MetricName"] == "IntegrityFailure"


@pytest.mark.needs("quick-retries")
def test_captures_that_cannot_be_kept_are_set_aside_with_all_that_was_to_be_kept(stack: LocalStack) -> None:
    """The emulator heeds what is said of a function's newest code alone, so what is said of the alias is said of it."""
    functions = client(stack, "lambda")
    said = functions.get_function_event_invoke_config(FunctionName=stack.capture, Qualifier="live")
    functions.put_function_event_invoke_config(
        FunctionName=stack.capture,
        MaximumRetryAttempts=said["MaximumRetryAttempts"],
        DestinationConfig=said["DestinationConfig"],
    )
    delivery = {"awslogs": {"data": "damaged"}}
    functions.invoke(FunctionName=stack.capture, InvocationType="Event", Payload=json.dumps(delivery).encode())
    queue = client(stack, "sqs").get_queue_url(QueueName=f"{STAGE}-capture-dead")["QueueUrl"]
    kept = received(stack, queue, 20)
    assert kept["requestPayload"] == delivery
    assert kept["requestContext"]["condition"] == "RetriesExhausted"
