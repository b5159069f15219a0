"""LocalStack without Docker: Lambda code in processes, and HTTP APIs."""
