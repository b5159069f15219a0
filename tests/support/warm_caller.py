"""Has a warm server do what this process was called for; see ``warm.py``, which writes the server's place into it."""

import json
import os
import socket
import sys

if sys.argv[1:3] != ["-m", "perennial.jobs"]:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])

with socket.socket(socket.AF_UNIX) as server:
    server.connect("SOCKET")
    told = json.dumps({"arguments": sys.argv[3:], "env": dict(os.environ), "cwd": os.getcwd()}).encode()  # noqa: PTH109 - pathlib takes 20 ms
    socket.send_fds(server, [b"%8d" % len(told)], [0, 1, 2])
    server.sendall(told)
    answer = server.recv(16)
code = int(answer or b"-9")
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
