"""A real server answers many clients while its model is swapped, spoiled and cut off, over real S3 and HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perennial.deploy.ministack import MiniStack
from tests.support.chaos.scale import Scale
from tests.support.chaos.serving_clients import Clients, swapped
from tests.support.chaos.serving_judge import CHECK
from tests.support.chaos.serving_models import numbered
from tests.support.chaos.serving_outage import spoiled_for_real
from tests.support.chaos.serving_real import Shop, shop
from tests.support.chaos.serving_torn import create
from tests.support.chaos.tally import Row, Tally

CLIENTS = 32
VERSIONS = [numbered(number) for number in range(10, 14)]
KNOWN = {version.version: version for version in VERSIONS}
TORN = f"{create.__module__}:{create.__name__}"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as stack:
        yield stack


@pytest.fixture
def trade(endpoint: MiniStack, request: pytest.FixtureRequest) -> Shop:
    """A bucket of its own for each test, in which the first version serves."""
    made = shop(endpoint, request.node.originalname.replace("_", "-")[:60])
    made.promote(VERSIONS[0], "first")
    return made


def test_swapped_under_load(trade: Shop, scale: Scale, tally: Tally) -> None:
    with trade.served() as server:
        asking = Clients(server, KNOWN, scale.pick(50, 10) / 1000)
        with asking.asking(CLIENTS, scale.random("swaps")):
            done = swapped(trade, asking, VERSIONS, scale.pick(10, 200), "swap")
    print(f"{asking.answered:,} answers;", *asking.failed[:5], *asking.wrong[:5], sep="\n")
    lost, wrong = len(asking.failed), len(asking.wrong)
    tally.record(Row(CHECK, "promoted under load of 32 clients", done.promotions, lost=done.unseen + lost, wrong=wrong))
    tally.record(Row(CHECK, "rolled back under load of 32 clients", done.rollbacks, lost=lost, wrong=wrong))


def test_spoiled_over_http(trade: Shop, scale: Scale, tally: Tally) -> None:
    versions = VERSIONS + [numbered(number) for number in range(14, 19)]
    with trade.served() as server:
        spoiled_for_real(trade, server, versions[: scale.pick(4, 9)]).record(tally, CHECK)


def test_a_server_that_reads_its_model_twice_is_found_out(trade: Shop, scale: Scale, tally: Tally) -> None:
    with trade.served(app=TORN) as server:
        asking = Clients(server, KNOWN, 0.05)
        with asking.asking(8, scale.random("torn")):
            swapped(trade, asking, VERSIONS, 6, "torn")
    tally.mutant(CHECK, "a model that is read twice in a request", bool(asking.wrong))
