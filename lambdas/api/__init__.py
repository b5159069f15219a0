"""The HTTP API: FastAPI routes over ``perennial.serving``, as a Lambda function or under any ASGI server."""
