"""Storage that speaks S3, as pyarrow and delta-rs are told of it: waiting is bounded, and errors say what is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyarrow import fs

_ATTEMPTS = 2
_REASONS = {
    "NO_SUCH_BUCKET": "the bucket does not exist",
    "NoSuchBucket": "the bucket does not exist",
    "ACCESS_DENIED": "access is denied: look at the credentials (KNOWNAT_S3__ACCESS_KEY or AWS_ACCESS_KEY_ID)",
    "AccessDenied": "access is denied: look at the credentials (KNOWNAT_S3__ACCESS_KEY or AWS_ACCESS_KEY_ID)",
    "INVALID_ACCESS_KEY_ID": "the access key is not known there",
    "InvalidAccessKeyId": "the access key is not known there",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key does not fit the access key",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "NETWORK_CONNECTION": "its endpoint does not answer",
    "error sending request": "its endpoint does not answer",
    "HTTP error": "its endpoint does not answer",
}
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class S3Storage:
    """`endpoint` is empty for AWS itself. Without an access key, the usual places of AWS credentials are looked at:
    `AWS_ACCESS_KEY_ID` and the like, profiles, the role of the machine."""

    endpoint: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    timeout_seconds: float = 10

    def filesystem(self) -> fs.S3FileSystem:
        from pyarrow import fs  # 3 MB, which a process that only looks features up never needs

        given = {
            "endpoint_override": self.endpoint,
            "region": self.region,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "session_token": self.session_token,
        }
        return fs.S3FileSystem(
            **{name: value for name, value in given.items() if value},
            connect_timeout=self.timeout_seconds,
            request_timeout=self.timeout_seconds,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        )

    def delta_options(self) -> dict[str, str]:
        given = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }
        options = {name: value for name, value in given.items() if value}
        if self.endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
        seconds = f"{self.timeout_seconds:g}s"
        limits = {"timeout": seconds, "connect_timeout": seconds, "retry_timeout": seconds, "max_retries": "1"}
        return {**options, **limits}


def storage_reason(error: Exception) -> str:
    """What is wrong with the storage, in a sentence where that is known; otherwise the library's own words."""
    text = " ".join(_COLORS.sub("", str(error)).split())
    reason = next((told for sign, told in _REASONS.items() if sign in text), None)
    return f"{reason} ({text[:_LONGEST]})" if reason else text[:_LONGEST]
