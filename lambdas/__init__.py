"""The Lambda functions: entry points only, each in its own package."""
