"""What a month costs on AWS, from a dated table of prices: nothing asks AWS, nothing is rounded before the end."""

from perennial.costs.estimate import Estimate, estimate
from perennial.costs.prices import Prices, load_prices
from perennial.costs.usage import SCHEDULERS, Scheduler, Usage

__all__ = ["SCHEDULERS", "Estimate", "Prices", "Scheduler", "Usage", "estimate", "load_prices"]
