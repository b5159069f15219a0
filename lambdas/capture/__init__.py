"""Keeps the predictions that the API logs: from CloudWatch Logs into S3."""
