#!/bin/sh
# In Lambda, which says where its runtime API is: the function named by the arguments. Elsewhere: a server on HOST:PORT.
# The API logs each request itself, and of its address only the route: uvicorn would add whatever a caller put there.
# Who asks is whoever connects, unless FORWARDED_ALLOW_IPS says whose X-Forwarded-For is to be believed.
# SIGTERM ends it once the requests under way are answered, or GRACE_SECONDS have gone by.
set -eu
if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
    exec "${LAMBDA_ENTRYPOINT:-/lambda-entrypoint.sh}" "$@"
fi
proxies=--no-proxy-headers
[ -z "${FORWARDED_ALLOW_IPS:-}" ] || proxies=--proxy-headers
cd "$PERENNIAL_TASK"
exec "${PYTHON:-python3}" -B -m uvicorn lambdas.api.server:create_server --factory \
    --loop uvloop --http lambdas.api.heads:BoundedHttp --host "${HOST:-0.0.0.0}" --port "${PORT:-8080}" \
    --no-server-header --no-access-log "$proxies" --timeout-graceful-shutdown "${GRACE_SECONDS:-20}"
