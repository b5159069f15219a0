"""What an error of obstore means. It decides by type, except where obstore gives one type to two things."""

from __future__ import annotations

from obstore.exceptions import BaseError, NotSupportedError, PermissionDeniedError, UnauthenticatedError

from perennial.errors import NotFoundError, PerennialError, StoreRefused, StoreUnavailable

REFUSALS = (PermissionDeniedError, UnauthenticatedError, NotSupportedError)
_SKEWED = "RequestTimeTooSkewed"
_UNREAD = "Encountered object with invalid path"
RAISED = (BaseError, OSError, ValueError)  # obstore reports a missing object and an illegal key by built-in errors


def fault(key: str, error: Exception) -> PerennialError:
    """The error of a read. A 404 says nothing about the key where the bucket itself is missing."""
    if isinstance(error, FileNotFoundError) and "<Code>NoSuchBucket</Code>" not in str(error):
        return NotFoundError(f"{key} does not exist.")
    if _UNREAD in str(error):
        return StoreRefused(
            f"{key}: {reason(error)}",
            remedy="Remove or rename that object: a key with an empty part, '.', '..' or control characters cannot be "
            "read, and nothing beside it be listed.",
        )
    if isinstance(error, (*REFUSALS, FileNotFoundError, ValueError)):
        return refused(key, error)
    if _SKEWED in str(error):  # a listing's refusal is of no type of its own
        return refused(key, error)
    return StoreUnavailable(f"{key}: {reason(error)}", remedy="Check the endpoint, the credentials and the bucket.")


def refused(key: str, error: Exception) -> StoreRefused:
    """The error of a request that S3 refused, for its time if it says so."""
    if _SKEWED in str(error):
        return StoreRefused(
            f"{key}: S3 says that this machine's clock is more than 15 minutes off.",
            remedy="Set the clock, for one by `timedatectl set-ntp true`; `perennial doctor` says how far it is off.",
        )
    return StoreRefused(f"{key}: {reason(error)}", remedy="Check the credentials, their permissions and the bucket.")


def reason(error: Exception | None) -> str:
    """The first line of an obstore message, which goes on with a debug dump."""
    return str(error).split("\n", 1)[0][:300]
