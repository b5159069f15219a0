from tests.support.stack import stack, store

__all__ = ["stack", "store"]
