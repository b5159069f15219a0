"""Who received a prediction can say what turned out true of it, and nobody else: a token that only a server can make.

HMAC-SHA256 (RFC 2104) over model and prediction id. Nothing is stored for it, and any server can check any token.
"""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Callable

from perennial import keys
from perennial.errors import AlreadyExistsError, IntegrityError
from perennial.store import Store
from perennial.store_objects import Blob

KEY_BYTES = 32
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Signer:
    """Makes and checks the tokens of one deployment.

    The key is scheduled once, and copied for each token: in a process that does other things between two tokens, that
    takes half the time of a whole HMAC.
    """

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod="sha256")

    def token(self, model: str, prediction_id: str) -> str:
        """The token of one prediction: 43 characters of base64url. A name has no slash, so no two texts agree."""
        mac = self._keyed.copy()
        mac.update(f"{model}/{prediction_id}".encode())
        return binascii.b2a_base64(mac.digest(), newline=False).translate(_URL_SAFE, b"=").decode()

    def accepts(self, model: str, prediction_id: str, given: str) -> bool:
        """Whether ``given`` is the token of that prediction, in a time that tells nothing of how near it is."""
        return hmac.compare_digest(self.token(model, prediction_id).encode(), given.encode(errors="replace"))


def ensure_signer(store: Store, entropy: Callable[[int], bytes]) -> Signer:
    """The signer with the deployment's key, made by the first who asks; all others read what that one wrote.

    Raises:
        IntegrityError: what stands there is no key.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    signer = find_signer(store)
    if signer is not None:
        return signer
    made = entropy(KEY_BYTES)
    try:
        store.put_new(keys.FEEDBACK_KEY, made)
    except AlreadyExistsError:
        return _of(store.get(keys.FEEDBACK_KEY))
    return Signer(made)


def find_signer(store: Store) -> Signer | None:
    """The signer with the deployment's key; None where nobody has made one, so that no token was ever given out.

    Raises:
        IntegrityError: what stands there is no key.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    found = store.find(keys.FEEDBACK_KEY)
    return None if found is None else _of(found)


def _of(found: Blob) -> Signer:
    if len(found.data) != KEY_BYTES:
        raise IntegrityError(
            f"{keys.FEEDBACK_KEY} has {len(found.data)} bytes instead of {KEY_BYTES}.",
            remedy=f"Put {KEY_BYTES} random bytes there; tokens that were given out are void then.",
        )
    return Signer(found.data)
