"""Addresses of Redis: what is read from them, what is refused, and that a password is never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.adapters.redis_address import RedisAddress, TlsFiles, read_address
from featurestore.errors import SettingsError
from tests.certificates import Certificates


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", RedisAddress((("cache", 6379),))),
        ("redis://cache:6380/3", RedisAddress((("cache", 6380),), database=3)),
        ("redis://ann:p%40ss%2F@cache", RedisAddress((("cache", 6379),), "", 0, "ann", "p@ss/")),
        ("redis://:pw@cache/", RedisAddress((("cache", 6379),), "", 0, "", "pw")),
        ("redis://[::1]:6380", RedisAddress((("::1", 6380),))),
        ("unix:///run/redis.sock", RedisAddress(path="/run/redis.sock")),
        ("unix://ann:pw@/run/redis.sock?db=2", RedisAddress((), "/run/redis.sock", 2, "ann", "pw")),
        ("redis+cluster://a,b:7001", RedisAddress((("a", 6379), ("b", 7001)), is_cluster=True)),
        (
            "redis+cluster://ann:pw@a:7000,[::1]:7001/0",
            RedisAddress((("a", 7000), ("::1", 7001)), "", 0, "ann", "pw", is_cluster=True),
        ),
    ],
)
def test_an_address_is_taken_apart(url: str, expected: RedisAddress) -> None:
    assert read_address(url) == expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://ann:hunter2@cache:6380/0", "cache:6380"),
        ("redis://cache:6380/4", "cache:6380/4"),
        ("redis://[::1]", "[::1]:6379"),
        ("unix://ann:hunter2@/run/redis.sock", "/run/redis.sock"),
        ("redis+cluster://ann:hunter2@a,b:7001", "a:6379,b:7001"),
    ],
)
def test_an_address_is_named_without_secrets(url: str, name: str) -> None:
    address = read_address(url)

    assert address.name == name
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize("url", ["rediss://cache", "rediss+cluster://a,b"])
def test_tls_verifies_the_server_and_its_name(url: str) -> None:
    tls = read_address(url).tls

    assert tls is not None
    assert tls.check_hostname
    assert tls.verify_mode.name == "CERT_REQUIRED"


def test_an_authority_of_ones_own_is_the_only_one_trusted(certificates: Certificates) -> None:
    tls = read_address("rediss://cache", TlsFiles(certificates.authority)).tls

    assert tls is not None
    [trusted] = tls.get_ca_certs()
    assert "authority of the tests" in str(trusted["subject"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://:hunter2@cache",
        "redis://",
        "redis://:hun/ter2@cache:6379",
        "redis://:hun#ter2@cache:6379",
        "redis://:hunter2",
        "redis://:hunter2@cache:x",
        "redis://:hunter2@cache:70000",
        "redis://:hunter2@cache:0",
        "redis://:hunter2@[::1",
        "redis://:hunter2@cache/x",
        "redis://:hunter2@cache/-1",
        "unix://",
        "unix://host/run/redis.sock",
        "unix:///run/redis.sock?password=hunter2",
        "unix+cluster:///run/redis.sock",
        "redis+cluster://:hunter2@a,,b",
        "redis+sentinel://:hunter2@a",
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(SettingsError, match="The Redis URL can not be read") as caught:
        read_address(url)

    assert "hun" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis+cluster://:hunter2@a,b/3", "has only database 0"),
        ("redis://:hunter2@a,b", "redis\\+cluster://"),
        ("redis://:hunter2@cache?socket_timeout=100", "timeout_seconds"),
        ("rediss://:hunter2@cache?ssl_cert_reqs=none", "ca_file"),
    ],
)
def test_what_can_not_be_is_refused_with_what_to_do(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        read_address(url)

    assert "hunter2" not in str(caught.value)


def test_files_for_tls_without_tls_are_refused(certificates: Certificates) -> None:
    with pytest.raises(SettingsError, match="write rediss://"):
        read_address("redis://cache", TlsFiles(certificates.authority))


def test_a_certificate_without_its_key_is_refused(certificates: Certificates) -> None:
    with pytest.raises(SettingsError, match="key_file together"):
        read_address("rediss://cache", TlsFiles(certificates.authority, certificates.client.certificate))


def test_a_file_that_is_missing_or_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("not PEM")
    for file in (tmp_path / "missing.pem", tmp_path / "text.pem"):
        with pytest.raises(SettingsError, match=file.name):
            read_address("rediss://cache", TlsFiles(file))


def test_a_key_that_belongs_to_another_certificate_is_refused(certificates: Certificates) -> None:
    files = TlsFiles(certificates.authority, certificates.client.certificate, certificates.server.key)

    with pytest.raises(SettingsError, match="a key that belongs to the certificate"):
        read_address("rediss://cache", files)
