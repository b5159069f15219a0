"""Verify, load, predict, refresh: what answers a prediction, whoever asks.

Needs onnxruntime and numpy, and nothing that can unpickle.
"""
