"""Perennial keeps machine-learning models in production fresh on AWS."""
