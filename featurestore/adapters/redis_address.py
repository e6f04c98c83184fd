"""Where Redis is and how to get in: an address as settings write it, taken apart and checked.

Messages never repeat the address or a part of it: a password with an unescaped `/`, `@` or `:` may be in any of them.
Connecting is left to `redis_connections`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from featurestore.errors import SettingsError

_PORT = 6379
_FORMS = (
    "redis://user:password@host:6379/0 (rediss:// with TLS), unix:///path/to/redis.sock?db=0, or for a cluster "
    "redis+cluster://user:password@host1:6379,host2:6379 (rediss+cluster:// with TLS), with special characters of user "
    "and password percent-encoded"
)

Node = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: who may sign the server's certificate (None: whom the system trusts), and who we are."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __bool__(self) -> bool:
        return any((self.authority, self.certificate, self.key))


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server by host and port, one by the path of its socket, or some nodes of a cluster, which tell the others."""

    nodes: tuple[Node, ...] = ()
    path: str = ""
    database: int = 0
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    is_cluster: bool = False
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """How messages and state call it: without user and password."""
        place = self.path or ",".join(host_and_port(node) for node in self.nodes)
        return f"{place}/{self.database}" if self.database else place


def host_and_port(node: Node) -> str:
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_address(url: str, files: TlsFiles | None = None) -> RedisAddress:
    """Take `url` apart. Raises SettingsError, without a word of it, when it or the TLS files can not be used."""
    files = files or TlsFiles()
    try:
        parts = urlsplit(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        raise _unreadable() from None
    scheme, is_cluster = parts.scheme.removesuffix("+cluster"), parts.scheme.endswith("+cluster")
    if parts.fragment or scheme not in {"redis", "rediss", "unix"} or (is_cluster and scheme == "unix"):
        raise _unreadable()
    if files and scheme != "rediss":
        raise SettingsError(
            "`[online]` names files for TLS, and the URL does not ask for TLS: write rediss:// in place of redis:// "
            "(or rediss+cluster://), or leave ca_file, certificate_file and key_file out."
        )
    if scheme == "unix":
        return _socket(parts, user, password)
    nodes = _nodes(parts)
    database = _number(parts.path.strip("/") or "0")
    if parts.query:
        raise SettingsError(
            "The Redis URL has options after a `?`, which Knownat does not pass on. Deadlines and TLS files are set in "
            "`[online]`: timeout_seconds, ca_file, certificate_file, key_file."
        )
    if is_cluster and database:
        raise SettingsError("A Redis Cluster has only database 0: leave the number at the end of its URL out.")
    if not is_cluster and len(nodes) > 1:
        raise SettingsError("The Redis URL names several hosts, which only a cluster has: write redis+cluster://.")
    tls = _context(files) if scheme == "rediss" else None
    return RedisAddress(nodes, "", database, user, password, is_cluster, tls)


def _socket(parts: SplitResult, user: str, password: str) -> RedisAddress:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = _number(options.pop("db", "0"))
    if options or not parts.path.strip("/") or parts.hostname or parts.netloc.rpartition("@")[2]:
        raise _unreadable()
    return RedisAddress((), unquote(parts.path), database, user, password)


def _nodes(parts: SplitResult) -> tuple[Node, ...]:
    try:
        each = [urlsplit(f"//{place}") for place in parts.netloc.rpartition("@")[2].split(",")]
        found = tuple((place.hostname or "", _PORT if place.port is None else place.port) for place in each)
    except ValueError:
        raise _unreadable() from None
    if not all(host and port for host, port in found):
        raise _unreadable()
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise _unreadable()
    return int(text)


def _context(files: TlsFiles) -> ssl.SSLContext:
    """Made once for all connections: reading the system's certificates takes 20 ms."""
    if (files.certificate is None) != (files.key is None):
        raise SettingsError(
            "`[online]` needs certificate_file and key_file together: a certificate is of no use without its key."
        )
    try:
        context = ssl.create_default_context(cafile=files.authority)
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except OSError as error:  # SSLError is one
        names = ", ".join(str(file) for file in (files.authority, files.certificate, files.key) if file)
        raise SettingsError(
            f"The TLS files of `[online]` can not be used ({names}): {error}. Expected readable PEM files, and a key "
            "that belongs to the certificate and has no password."
        ) from error
    return context


def _no_password() -> str:
    """In place of asking on the terminal."""
    return ""


def _unreadable() -> SettingsError:
    return SettingsError(f"The Redis URL can not be read. Expected {_FORMS}.")
