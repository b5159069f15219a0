"""S3 is gone for ten minutes, for real, and a warm server answers all the while. A file of its own, for it waits."""

from __future__ import annotations

import pytest

from perennial.deploy.ministack import MiniStack
from tests.support.chaos.faulty import Plan, faulty
from tests.support.chaos.scale import Scale
from tests.support.chaos.serving_clients import Clients
from tests.support.chaos.serving_judge import CHECK
from tests.support.chaos.serving_models import numbered
from tests.support.chaos.serving_outage import FIRST, RATES, outlived
from tests.support.chaos.serving_real import shop
from tests.support.chaos.tally import Row, Tally

CLIENTS = 8


def test_s3_is_gone_and_no_prediction_fails(
    tmp_path_factory: pytest.TempPathFactory, scale: Scale, tally: Tally
) -> None:
    first, second = numbered(20), numbered(21)
    with MiniStack(tmp_path_factory.mktemp("ministack")) as stack:
        trade = shop(stack, "outage")
        trade.promote(first, "first")
        with faulty(stack.endpoint_url, Plan(scale.seed, rates=RATES, script={"": FIRST})) as proxy:
            proxy.calm = True
            with trade.served(endpoint_url=proxy.url, refresh=0.5) as server:
                asking = Clients(server, {one.version: one for one in (first, second)}, pause=0.4)
                with asking.asking(CLIENTS, scale.random("outage")):
                    found = outlived(trade, proxy, asking, second, scale.pick(4, 600))
            injected = proxy.injected
    print(f"{asking.answered:,} answers; {injected}", *asking.failed[:5], *asking.wrong[:5], sep="\n")
    found.record(tally, CHECK)
    assert set(injected) == set(RATES)
    failed, wrong = len(asking.failed), len(asking.wrong)
    tally.record(Row(CHECK, "S3 gone, predictions meanwhile", asking.answered + failed, lost=failed, wrong=wrong))
    for fault, count in injected.items():
        tally.record(Row(CHECK, f"S3 answers: {fault}", count))
