"""A real server whose S3 goes wrong for real: cut off behind a proxy, or with spoiled objects in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from perennial import keys
from perennial.registry.manifest import MODEL_FILE
from tests.support.chaos.faulty import Fault, Faulty
from tests.support.chaos.served import Served
from tests.support.chaos.serving_clients import Clients
from tests.support.chaos.serving_models import MODEL, Version
from tests.support.chaos.serving_real import SOON, Publishable, Shop, await_, ready
from tests.support.chaos.serving_spoiled import flipped, signature_key
from tests.support.chaos.tally import Findings
from tests.support.models import register

RATES = {Fault.INTERNAL: 0.2, Fault.SLOW_DOWN: 0.2, Fault.REFUSED: 0.2, Fault.TIMEOUT: 0.2, Fault.TRUNCATED: 0.2}
"""Every answer goes wrong, in one way or another."""
FIRST = dict(enumerate(RATES, start=1))
"""Each way once, one after the other; then by chance."""


@contextmanager
def gone(proxy: Faulty) -> Iterator[None]:
    """For the time of a block nobody is there, unless somebody says otherwise."""
    proxy.down = True
    try:
        yield
    finally:
        proxy.calm, proxy.down = True, False


def outlived(shop: Shop, proxy: Faulty, clients: Clients, new: Version, seconds: float) -> Findings:
    """Take S3 away from a warm server under load for so long, promote meanwhile, and give it back.

    Half the time nobody is there, and half S3 answers wrongly, until it has done so in each way. ``/ready`` tells all
    the time which version serves, and, once the server has looked, that it is stale since when; after that the new
    version is seen. What the clients are told is theirs to judge.
    """
    found, first = Findings(), ready(clients.server)
    with gone(proxy):
        start = time.monotonic()
        last = start + seconds + SOON
        shop.promote(new, "while S3 was gone")
        if not await_(lambda: ready(clients.server).get("status") == "stale"):
            found.note("S3 gone, /ready", "it does not tell")
        since = ready(clients.server).get("failure")
        while time.monotonic() < start + seconds or (len(proxy.injected) < len(RATES) and time.monotonic() < last):
            if proxy.down and time.monotonic() > start + seconds / 2:
                proxy.calm = proxy.down = False
                last = max(last, time.monotonic() + SOON)
            told = ready(clients.server)
            shown = (told["status"], told["version"], told.get("failure"))
            found.note("S3 gone, /ready", "" if shown == ("stale", first["version"], since) else f"{told}")
            time.sleep(1.0)
    seen = await_(lambda: clients.seen[new.version] > 0)
    found.note("S3 back, promotion of the meantime", "" if seen else "nobody saw it")
    back = await_(lambda: ready(clients.server).get("status") == "ready")
    found.note("S3 back, promotion of the meantime", "" if back else f"{ready(clients.server)}")
    return found


def spoiled_for_real(shop: Shop, server: Served, versions: list[Version]) -> Findings:
    """Make versions champion whose objects are spoiled, one after the other, and mend each before the next.

    As long as it is spoiled the one before serves, and once it is mended, it does.
    """
    found, serving = Findings(), versions[0]
    for number, (version, (what, key, change)) in enumerate(zip(versions[1:], _CHANGES, strict=False)):
        register(shop.store, Publishable(version))
        place = key(version)
        good = shop.store.get(place).data
        shop.put(place, change(good))
        shop.forge(version.version, f"forged-{number}")
        server.said.clear()
        problem = "" if await_(lambda: ready(server).get("status") == "stale") else "/ready does not tell"
        told = ready(server)
        if told["version"] != serving.version or told.get("failure", {}).get("reason") not in _REASONS:
            problem = problem or f"/ready tells {told}"
        if not any('"IntegrityFailure":1' in line or '"StaleModel":1' in line for line in server.said):
            problem = problem or "no line is the alarm's"
        shop.put(place, good)
        mended = await_(lambda name=version.version: ready(server).get("version") == name)  # type: ignore[misc]
        found.note(f"{what}, over HTTP", problem or ("" if mended else "it does not serve once it is mended"))
        serving = version
    return found


def _manifest(version: Version) -> str:
    return keys.version_manifest(MODEL, version.version)


def _graph(version: Version) -> str:
    return keys.registry_blob(MODEL, version.manifest.files[MODEL_FILE].digest)


def _signature(version: Version) -> str:
    return signature_key(version.version)


_REASONS = ("integrity", "signature", "not_found")
_CHANGES: tuple[tuple[str, Callable[[Version], str], Callable[[bytes], bytes | None]], ...] = (
    ("a byte of a manifest", _manifest, lambda data: flipped(data, len(data) // 3, 0x80)),
    ("a byte of a blob", _graph, lambda data: flipped(data, len(data) // 2, 0x01)),
    ("a byte of a signature", _signature, lambda data: flipped(data, len(data) // 2, 0x01)),
    ("manifest truncated", _manifest, lambda data: data[: len(data) // 2]),
    ("graph of other length", _graph, lambda data: data + data),
    ("signature gone", _signature, lambda data: None),
    ("graph gone", _graph, lambda data: None),
    ("manifest gone", _manifest, lambda data: None),
)
