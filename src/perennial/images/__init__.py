"""Pictures, from bytes that nobody vouches for to the very pixels a model is given. Pillow and NumPy live here.

Training, API, scoring of files and smoke test all come through this one room.
"""
