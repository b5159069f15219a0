"""As little server as Python has: constant JSON to every request, `python -I http_hello.py HOST PORT`.

Its rate says whether those who ask are faster than those who answer. Standard library only.
"""

import asyncio
import sys
from typing import cast

BODY = b'{"prediction":"0"}'
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


class Hello(asyncio.Protocol):
    """Takes each part that arrives for a whole request, which on this machine it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(ANSWER)


async def main(host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Hello, host, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
