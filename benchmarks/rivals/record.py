"""One record as the services that check their input describe it: 20 columns, as `benchmarks/mixed.py` makes them."""

from typing import Literal

from pydantic import BaseModel


class Record(BaseModel):
    number_0: float
    number_1: float
    number_2: float
    number_3: float
    number_4: float
    number_5: float
    number_6: float
    number_7: float
    number_8: float
    number_9: float
    number_10: float
    number_11: float
    number_12: float
    number_13: float
    category_0: Literal["value 0 0", "value 0 1", "value 0 2"]
    category_1: str
    category_2: str
    category_3: str
    category_4: str
    category_5: str
