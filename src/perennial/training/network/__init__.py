"""Networks in PyTorch: built, started from weights, trained and exported. Imported only where PyTorch is.

Its modules import each other relatively, and nothing else of Perennial.
"""
