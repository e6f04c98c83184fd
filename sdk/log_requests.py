"""What can be asked of the serving log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.errors import InvalidRequest
from sdk.texts import check_text

MOST_EXAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """Answers of the serving log: of a service or of a model, and from when on. Raises InvalidRequest for both."""

    service: str | None = None
    model: str | None = None
    since: datetime | None = None

    def __post_init__(self) -> None:
        if self.service is not None and self.model is not None:
            raise InvalidRequest("Logged answers are chosen by service or by model: got both.")
        for text in (self.service, self.model):
            check_text("a name of features", text)


@dataclass(frozen=True, slots=True)
class Skew:
    logged: Logged
    examples: int

    def __post_init__(self) -> None:
        is_number = isinstance(self.examples, int) and not isinstance(self.examples, bool)
        if not (is_number and 0 <= self.examples <= MOST_EXAMPLES):
            raise InvalidRequest(f"examples is {self.examples!r:.80}, expected a number from 0 to {MOST_EXAMPLES}")


@dataclass(frozen=True, slots=True)
class LoggedSpine:
    """What was asked, as a Parquet file of moments, keys and request inputs."""

    logged: Logged
