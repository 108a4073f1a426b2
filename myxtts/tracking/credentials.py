"""Names and passwords that an address carries: used to connect, never shown, logged or stored."""

import re
from urllib.parse import unquote, urlsplit, urlunsplit

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_SECRET_PARAMETER = re.compile(r"([?&][^=&\s]*(?:password|secret|token)[^=&\s]*=)[^&\s]*", re.IGNORECASE)
# what DVC's remotes call theirs; a plain `token =` in code is none
_SECRET_OF_DVC = re.compile(
    r"^([-+ ]\s*(?:\w*password\w*|\w*secret\w*|\w*token|access_key_id|account_key|connection_string|\w*passphrase)\s*=\s*)\S.*$",
    re.MULTILINE,
)
_DVC_CONFIG = re.compile(r"^diff --git a/(?:.*/)?\.dvc/config ")


def without_credentials(text: str) -> str:
    """An address, or a text that holds some, without `user:password@` and with `***` for a parameter such as `?password=`."""
    return _SECRET_PARAMETER.sub(r"\1***", _USER_AND_PASSWORD.sub("", text))


def shown_uri(uri: str) -> str:
    """The address of a store as it may be shown. Databases take a password with an unescaped / or @: all before the last @ goes."""
    return without_credentials(re.sub(r"(?<=://).*@", "", uri))


def split_credentials(url: str) -> tuple[str, str | None, str | None]:
    """(address, user, password) of `http://user:password@host/…`; None for what it lacks. Raises ValueError for what is no address."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None, None
    user, colon, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=host)), unquote(user) or None, unquote(password) if colon else None


def masked_diff(diff: str) -> str:
    """A git diff with `***` for credentials: in addresses, and of a DVC remote that were written to `.dvc/config` by mistake."""
    diff = _SECRET_PARAMETER.sub(r"\1***", _USER_AND_PASSWORD.sub("***@", diff))
    files = re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE)
    return "".join(_SECRET_OF_DVC.sub(r"\1***", part) if _DVC_CONFIG.match(part) else part for part in files)
