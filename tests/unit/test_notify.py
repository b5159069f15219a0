"""Notices: told once whatever dies, never dangerous to whoever tells them, and never naming the webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import IntegrityError, NoticeUndelivered, StoreUnavailable
from perennial.notify import Notice, notify, slack
from perennial.notify.once import LAPSE, tell_once
from perennial.settings import Settings
from perennial.spec_policy import Notify
from perennial.store import Store, memory_store
from tests.support.datasets import DyingStore
from tests.support.webhook import PATH, Webhook, webhook

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
NOTICE = Notice(model="shop", kind="promoted", event="promoted-1", subject="shop: promoted", text="a < b & c\n", at=NOW)


class Sending:
    """What was sent, and what happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.times, self.meanwhile = 0, meanwhile

    def __call__(self) -> None:
        self.meanwhile()
        self.times += 1


def tell(store: Store, send: Callable[[], None], by: str = "a", now: datetime = NOW) -> str:
    return tell_once(store, "shop", "promoted-1", by=by, now=now, send=send)


def test_an_event_is_told_once() -> None:
    store, send = memory_store(), Sending()
    assert tell(store, send) == ""
    assert tell(store, send, by="b") == "it was told before"
    assert tell(store, send, by="c", now=NOW + timedelta(days=1)) == "it was told before"
    assert send.times == 1


def test_another_event_is_another_message() -> None:
    store, send = memory_store(), Sending()
    for event in ("drift-v1-2026-W47", "drift-v1-2026-W48", "drift-v2-2026-W48"):
        assert tell_once(store, "shop", event, by="a", now=NOW, send=send) == ""
    assert tell_once(store, "other", "drift-v1-2026-W47", by="a", now=NOW, send=send) == ""
    assert send.times == 4


def test_two_at_once_tell_it_once() -> None:
    for round in range(20):
        store, send = memory_store(), Sending(lambda: time.sleep(0.001))
        ready = threading.Barrier(4)

        def teller(name: str, store: Store = store, send: Sending = send, ready: threading.Barrier = ready) -> None:
            ready.wait()
            tell(store, send, by=name)

        tellers = [threading.Thread(target=teller, args=(f"{round}-{number}",)) for number in range(4)]
        for each in tellers:
            each.start()
        for each in tellers:
            each.join()
        assert send.times == 1


def test_two_at_once_take_over_an_abandoned_claim_once() -> None:
    store, send = memory_store(), Sending()
    with pytest.raises(NoticeUndelivered):
        tell(store, failing, by="dead")
    late = NOW + LAPSE
    ready = threading.Barrier(4)

    def teller(name: str) -> None:
        ready.wait()
        tell(store, send, by=name, now=late)

    tellers = [threading.Thread(target=teller, args=(str(number),)) for number in range(4)]
    for each in tellers:
        each.start()
    for each in tellers:
        each.join()
    assert send.times == 1


def failing() -> None:
    raise NoticeUndelivered("no")


def test_who_dies_after_the_claim_leaves_the_event_to_the_next_after_five_minutes() -> None:
    raw = MemoryStore()
    send = Sending()
    with pytest.raises(NoticeUndelivered):
        tell(Store(raw), failing, by="dead")
    store = Store(raw)
    assert tell(store, send, by="b", now=NOW + LAPSE - timedelta(seconds=1)) == "another process is telling it"
    assert send.times == 0
    assert tell(store, send, by="b", now=NOW + LAPSE) == ""
    assert tell(store, send, by="c", now=NOW + 2 * LAPSE) == "it was told before"
    assert send.times == 1


def test_a_claim_whose_answer_was_lost_is_not_told_twice() -> None:
    """The put landed and its answer did not: the teller dies, and nobody sends before the claim lapses."""
    raw, send = MemoryStore(), Sending()
    with pytest.raises(StoreUnavailable):
        tell(DyingStore(raw, 0, landed=True), send)
    assert tell(Store(raw), send, by="b") == "another process is telling it"
    assert tell(Store(raw), send, by="b", now=NOW + LAPSE) == ""
    assert send.times == 1


def test_a_teller_slower_than_its_claim_lasts_does_not_stumble_over_the_mark_of_another() -> None:
    store, theirs = memory_store(), Sending()

    def meanwhile() -> None:
        assert tell(store, theirs, by="b", now=NOW + LAPSE) == ""

    assert tell(store, Sending(meanwhile)) == ""
    assert theirs.times == 1
    assert tell(store, failing, by="c", now=NOW + 2 * LAPSE) == "it was told before"


def test_a_damaged_claim_is_named() -> None:
    store = memory_store()
    store.put_new(keys.notice("shop", "promoted-1"), b"{}")
    with pytest.raises(IntegrityError, match=r"shop/notices/promoted-1\.json is malformed"):
        tell(store, Sending())


def test_where_nothing_is_configured_it_says_so_and_keeps_nothing() -> None:
    store = memory_store()
    told = notify(store, Settings(bucket="data"), Notify(), NOTICE, now=NOW, by="a")
    assert not told.sent and told.problems == () and told.channels == ()
    assert "PERENNIAL_TOPIC_ARN" in told.note
    assert list(store.list("")) == []


def test_addresses_without_a_topic_are_a_problem() -> None:
    policy = Notify(email=("ada@example.org",))
    told = notify(memory_store(), Settings(bucket="data"), policy, NOTICE, now=NOW, by="a")
    assert not told.sent
    assert told.problems == ("topic: notify.email names addresses, but no topic is named (PERENNIAL_TOPIC_ARN).",)


def test_a_topic_that_cannot_be_reached_is_a_problem_and_no_error() -> None:
    settings = Settings(
        bucket="data",
        aws_endpoint_url="http://127.0.0.1:9",  # the port of "discard", on which nothing listens
        topic_arn="arn:aws:sns:eu-west-1:000000000000:notices",
    )
    told = notify(memory_store(), settings, Notify(slack_webhook_secret="hook"), NOTICE, now=NOW, by="a")
    assert not told.sent
    assert [problem.split(":")[0] for problem in told.problems] == ["topic", "slack"]


@pytest.mark.parametrize("endpoint", ["nowhere", "http://[::1"])
def test_an_endpoint_that_is_none_is_a_problem_and_no_error(endpoint: str) -> None:
    settings = Settings(
        bucket="data", aws_endpoint_url=endpoint, topic_arn="arn:aws:sns:eu-west-1:000000000000:notices"
    )
    told = notify(memory_store(), settings, Notify(slack_webhook_secret="hook"), NOTICE, now=NOW, by="a")
    assert [problem.split(":")[0] for problem in told.problems] == ["topic", "slack"]


def test_text_that_no_encoding_takes_is_sent_all_the_same() -> None:
    """As it comes from the name of a file, or an error that quotes one."""
    notice = NOTICE.model_copy(update={"subject": "\ud800", "text": "caf\udce9.csv: is empty."})
    assert notice.body.encode() == b"caf?.csv: is empty."
    assert notice.headline == "shop: promoted"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as found:
        yield found


def test_slack_gets_subject_text_and_link_with_its_own_signs_escaped(hook: Webhook) -> None:
    slack.post(hook.url, NOTICE.model_copy(update={"link": "https://site/model.html#shop"}))
    assert hook.posts == ["*shop: promoted*\na &lt; b &amp; c\n<https://site/model.html#shop|shop>"]


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"oops, /services/T000/B000/s3cr3t is down", "The webhook answered 500."),
        (404, b"no_service", "The webhook answered 404 (no_service)."),
    ],
)
def test_a_webhook_that_refuses_is_quoted_without_its_address(
    hook: Webhook, status: int, answer: bytes, said: str
) -> None:
    hook.status, hook.answer = status, answer
    with pytest.raises(NoticeUndelivered) as error:
        slack.post(hook.url, NOTICE)
    assert error.value.message == said
    assert PATH not in str(error.value) and "127.0.0.1" not in str(error.value)


def test_an_address_in_place_of_a_secret_s_name_is_refused_unsaid() -> None:
    """Secrets Manager would write it into its log of who asked for what."""
    policy = Notify(slack_webhook_secret="https://hooks.slack.com/services/s3cr3t")
    told = notify(memory_store(), Settings(bucket="data"), policy, NOTICE, now=NOW, by="a")
    (problem,) = told.problems
    assert "notify.slack_webhook_secret holds an address" in problem and "s3cr3t" not in problem


def test_a_silent_webhook_is_not_waited_for(hook: Webhook) -> None:
    hook.silent = True
    started = time.monotonic()
    with pytest.raises(NoticeUndelivered, match=r"did not answer within 0\.2 s"):
        slack.post(hook.url, NOTICE, timeout=0.2)
    assert time.monotonic() - started < 5


def test_a_redirect_is_not_followed(hook: Webhook) -> None:
    """The message would go, and a secret address with it, to where nobody meant it to."""
    hook.status, hook.location = 302, f"{hook.url}/elsewhere"
    with pytest.raises(NoticeUndelivered, match="answered 302"):
        slack.post(hook.url, NOTICE)
    assert len(hook.posts) == 1


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/s3cr3t", "https://127.0.0.1:9/s3cr3t", "http://127.0.0.1:9/ s3cr3t"]
)
def test_a_webhook_that_is_gone_is_not_named(url: str) -> None:
    with pytest.raises(NoticeUndelivered) as error:
        slack.post(url, NOTICE, timeout=1)
    assert "cannot be reached" in str(error.value)
    assert "s3cr3t" not in str(error.value) and error.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hooks.slack.com/services/x", True),
        ("http://hooks.slack.com/services/x", False),
        ("http://127.0.0.1:8080/x", True),
        ("http://localhost.evil.org/x", False),
        ("https:///x", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1/x", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_only_https_or_this_machine(url: str, allowed: bool) -> None:
    assert slack._allowed(url) is allowed


@given(st.text(max_size=300))
def test_a_subject_is_a_line_of_ascii_that_sns_takes(subject: str) -> None:
    line = NOTICE.model_copy(update={"subject": subject}).headline
    assert 0 < len(line) < 100
    assert line.isascii() and line.isprintable() and line == line.strip()


def test_a_subject_keeps_what_it_can() -> None:
    assert NOTICE.model_copy(update={"subject": "Modèle\r\nBcc: x"}).headline == "Modele Bcc: x"
    assert NOTICE.model_copy(update={"subject": "模型"}).headline == "shop: promoted"
