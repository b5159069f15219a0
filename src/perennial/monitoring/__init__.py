"""How a model in production does: quality, drift, performance, and whether to train again."""
