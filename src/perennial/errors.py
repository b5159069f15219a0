"""Every error Perennial raises on purpose.

One base class; each child carries the data that names the place, and a remedy. ``exit_code`` is
what the command line ends with; HTTP statuses are mapped in one place, ``lambdas/api/problems.py``.
"""

from __future__ import annotations

from typing import Literal


class PerennialError(Exception):
    """Base of all expected failures: one line that says what is wrong, where, and what to do."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class SettingsError(PerennialError):
    """The environment does not say where to work (bucket, endpoint, a needed value)."""

    exit_code = 2


class SpecError(PerennialError):
    """``model.yaml`` is wrong. Carries the file, the line (1-based) and the dotted key."""

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        remedy: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line) if part is not None)
        where = " ".join(part for part in (place, key and f"'{key}'") if part)
        super().__init__(f"{where}: {message}" if where else message, remedy=remedy)
        self.file, self.line, self.key = file, line, key


class DataError(PerennialError):
    """A data file or dataset cannot be used. Carries the file, row (1-based, header excluded) and column."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        where = ", ".join(
            part
            for part in (
                file,
                f"row {row}" if row is not None else None,
                f"column '{column}'" if column is not None else None,
            )
            if part
        )
        super().__init__(f"{where}: {message}" if where else message, remedy=remedy)
        self.file, self.row, self.column = file, row, column


class InvalidPicture(PerennialError):
    """Bytes are no picture that can be read. ``kind`` says in which way."""

    exit_code = 4

    def __init__(self, reason: str, remedy: str, *, kind: Literal["large", "unsupported", "damaged"]) -> None:
        super().__init__(f"The picture {reason}.", remedy=remedy)
        self.reason, self.kind = reason, kind


class NotFoundError(PerennialError):
    """A key, model, version or alias does not exist."""

    exit_code = 5


class AlreadyExistsError(PerennialError):
    """A put-new found other content under its key."""

    exit_code = 6


class ConflictError(PerennialError):
    """A compare-and-swap lost: the object changed since it was read."""

    exit_code = 6


class IntegrityError(PerennialError):
    """Stored bytes do not match the digest they are named by, or a manifest is malformed."""

    exit_code = 7


class SignatureRefused(IntegrityError):
    """A version bears no signature by a key that is trusted here; nothing of it is read or run."""


class TrainingError(PerennialError):
    """No candidate could be trained, or a candidate asks for something that is not allowed."""

    exit_code = 8


class ExportError(PerennialError):
    """A fitted pipeline cannot be exported faithfully; it never reaches the registry."""

    exit_code = 8


class PromotionRefused(PerennialError):
    """The version may not be promoted: unknown, unverifiable, or turned down by the gate."""

    exit_code = 9


class SmokeTestError(PerennialError):
    """The promoted version does not answer at the real endpoint, or answers wrongly."""

    exit_code = 12


class Unscored(PerennialError):
    """Files that were to be scored have no result: their time is over, or the job of Spark ended with an error."""

    exit_code = 13


class StoreUnavailable(PerennialError):
    """S3 did not answer, or refused access; nothing is known about the outcome."""

    exit_code = 10


class SchedulerUnavailable(PerennialError):
    """Airflow did not answer, or refused access; nothing is known about the outcome."""

    exit_code = 10


class SigningUnavailable(PerennialError):
    """KMS did not answer, or refused to sign; nothing was signed, and trying again is safe."""

    exit_code = 10


class NoticeUndelivered(PerennialError):
    """A notice did not go out by one channel: SNS, Secrets Manager or the webhook did not answer, or refused."""

    exit_code = 10


class DeployError(PerennialError):
    """A stack could not be built, started, deployed or ended."""

    exit_code = 11


class StoreRefused(StoreUnavailable):
    """S3 answered and refused: no permission, no such bucket, an illegal key. Trying again does not help."""


class InvalidRecord(PerennialError):
    """A record does not fit the model's schema. Carries one ``FieldProblem`` a field, never the value."""

    exit_code = 4

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in problems))


class TooBusy(PerennialError):
    """A server has more work in line than it can do in time."""

    exit_code = 10


class OutOfTime(PerennialError):
    """What is left of an invocation is too short for the next piece of work, which is to come again."""

    exit_code = 10


class QueueUnavailable(PerennialError):
    """SQS did not answer, or refused access; a message may be in both of two queues, which does no harm."""

    exit_code = 10
