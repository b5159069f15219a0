"""Where the steps of a model run: beside the scheduler, or as jobs on AWS Batch of a size that there is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from perennial.spec_features import Part
from perennial.spec_policy import Duration

GIB = 1024
FARGATE: Mapping[float, range] = {
    0.25: range(512, 1 * GIB + 1, 512),
    0.5: range(1 * GIB, 4 * GIB + 1, GIB),
    1: range(2 * GIB, 8 * GIB + 1, GIB),
    2: range(4 * GIB, 16 * GIB + 1, GIB),
    4: range(8 * GIB, 30 * GIB + 1, GIB),
    8: range(16 * GIB, 60 * GIB + 1, 4 * GIB),
    16: range(32 * GIB, 120 * GIB + 1, 8 * GIB),
}
"""The sizes of Fargate: processors -> MiB of memory (AWS Batch, "ResourceRequirement"). 0.25 takes 2 GB as well."""
MOST_VCPUS, MOST_MEMORY = 192, 1536 * GIB
"""Of the instances that are not asked for by a special quota."""
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=14)
"""What AWS Batch takes as the time of a job, and how long Fargate keeps one."""

_MEMORY = re.compile(r"^(\d+)\s*(GB|MB)$", re.IGNORECASE)


def memory(value: object) -> object:
    """Read ``4 GB``, ``512 MB`` or a whole number of MiB; a GB is 1,024 of them, as AWS Batch has it."""
    if isinstance(value, str) and (match := _MEMORY.match(value.strip())):
        return int(match[1]) * (GIB if match[2].upper() == "GB" else 1)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("memory is a whole number and GB or MB, such as 4 GB, or MiB as a whole number")


Memory = Annotated[
    int,
    BeforeValidator(memory),
    PlainSerializer(lambda value: f"{value} MB", return_type=str, when_used="json"),
]


class JobSize(Part):
    """What one job takes: processors, MiB of memory, and how long it may run."""

    vcpu: float = Field(default=1, gt=0, le=MOST_VCPUS)
    memory: Memory = 4 * GIB
    timeout: Duration = Field(default=timedelta(hours=6), ge=SHORTEST, le=LONGEST)

    @property
    def large(self) -> bool:
        """Whether it is more than Fargate has, and so for an EC2 instance."""
        return self.vcpu > max(FARGATE) or self.memory > FARGATE[max(FARGATE)][-1]

    @model_validator(mode="after")
    def _there_is_such(self) -> Self:
        if self.large:
            if self.vcpu % 1 or not GIB <= self.memory <= MOST_MEMORY:
                raise ValueError(
                    f"beyond Fargate's 16 vcpu and 120 GB, take whole vcpu up to {MOST_VCPUS} and 1 to "
                    f"{MOST_MEMORY // GIB} GB"
                )
        elif self.vcpu not in FARGATE:
            raise ValueError(f"there are {', '.join(f'{size:g}' for size in FARGATE)} vcpu, or whole ones above 16")
        elif self.memory not in FARGATE[self.vcpu] and (self.vcpu, self.memory) != (0.25, 2 * GIB):
            raise ValueError(f"{told(self.memory)} do not go with {self.vcpu:g} vcpu: take {_allowed(self.vcpu)}")
        return self


class Job(JobSize):
    """Where steps run, and how large a job of theirs is; ``train`` says it for the step train alone."""

    runner: Literal["local", "batch"] = "local"
    train: JobSize | None = None

    def size(self, step: str) -> JobSize:
        """What a job of a step takes."""
        return self.train if step == "train" and self.train else self


def told(mebibytes: int) -> str:
    """An amount of memory as a spec has it."""
    return f"{mebibytes // GIB} GB" if mebibytes % GIB == 0 else f"{mebibytes} MB"


def _allowed(vcpu: float) -> str:
    if vcpu == min(FARGATE):
        return "512 MB, 1 GB or 2 GB"
    sizes = FARGATE[vcpu]
    steps = "" if sizes.step == GIB else f" in steps of {told(sizes.step)}"
    return f"{told(sizes[0])} to {told(sizes[-1])}{steps}"
