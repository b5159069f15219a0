"""The model registry: nothing but S3 objects, and a log whose entries are the commits.

Imports here are few on purpose: this package is on the serving path.
"""
