"""The proxy of :mod:`tests.support.chaos.faulty` as a process of its own, which is told what to do by lines of JSON.

The first line names the endpoint and the plan. Everything asked is answered by one line that bears its id; a line with
``kill`` asks the other side to kill a client, which it confirms.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.support.chaos.faults import Fault, Plan
from tests.support.chaos.relay import Relay


def tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Killer:
    """Has the other side kill a client, and waits until it is dead."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._asked = 0

    async def __call__(self, client: str) -> None:
        self._asked += 1
        dead = self._waiting[self._asked] = asyncio.get_running_loop().create_future()
        tell({"kill": client, "death": self._asked})
        await dead

    def confirm(self, death: int) -> None:
        self._waiting.pop(death).set_result(None)


async def obey(relay: Relay, killer: Killer, order: dict[str, Any]) -> None:
    match order["do"]:
        case "killed":
            killer.confirm(order["death"])
            return
        case "listen":
            answer: Any = await relay.listen(order["client"])
        case "down":
            answer = relay.down = order["down"]
        case "calm":
            answer = relay.calm = order["calm"]
        case "settle":
            await relay.settle()
            answer = None
        case _:
            answer = {
                "injected": dict(relay.injected), "unheard": dict(relay.unheard), "requests": relay.requests,
            }  # fmt: skip
    tell({"id": order["id"], "answer": answer})


async def serve() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    first = json.loads(await orders.readline())
    plan, killer = Plan.from_json(first["plan"]), Killer()
    relay = Relay(first["endpoint"], plan.decide, kill=killer, late=plan.late, remembers=Fault.STALE in plan.faults)
    obeying: set[asyncio.Task[None]] = set()
    while line := await orders.readline():  # ends with the process that asks
        task = asyncio.create_task(obey(relay, killer, json.loads(line)))
        obeying.add(task)
        task.add_done_callback(obeying.discard)
    relay.close()


if __name__ == "__main__":
    asyncio.run(serve())
