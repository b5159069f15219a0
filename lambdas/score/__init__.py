"""Scores the files that come into the bucket, and the parts of those that are large."""
