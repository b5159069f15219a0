"""Tells people what became of their models: by mail (SNS) and on Slack, each event once. boto3 comes on first use."""

from perennial.notify.notice import Channel, EventKind, Notice, Told
from perennial.notify.send import notify

__all__ = ["Channel", "EventKind", "Notice", "Told", "notify"]
