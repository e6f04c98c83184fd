"""The chapters after training: the registry, the online store, and a lookup by model."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from docs.demo.facts import Leak, LookedUp, Online, Pulled, Registered
from docs.demo.model import ASKED_WITH, PARAMS, load, probabilities
from docs.demo.spines import MOMENT
from docs.demo.stage import Stage
from docs.demo.steps import Step

MODEL = "arrival_delay"
ALIAS = "champion"

_FLIGHTS = 5
_SHOWN = (
    ("aircraft_delays__late_share_7d", "aircraft late 7d"),
    ("carrier_delays__late_share_1d", "carrier late 1d"),
    ("route_delays__arr_delay_mean_1d", "route delay 1d"),
    ("schedule_slack", "slack"),
    ("weather__wind_kmh", "wind km/h"),
)


def register(stage: Stage, pulled: Pulled, leak: Leak) -> Registered:
    """A version of the model in the registry, and the alias that says it is in use."""

    def work() -> Registered:
        content = stage.folder.model.read_bytes()
        digest = sha256(content).hexdigest()
        version = stage.client.register_model(
            MODEL,
            content,
            dataset=pulled.id,
            file_name="arrival_delay.pickle",
            params=PARAMS,
            metrics={"auc_offline": leak.honest_offline, "auc_as_served": leak.honest_served},
            description="Will this flight arrive more than 15 minutes late?",
            key=f"demo-{pulled.id[:12]}-{digest[:12]}",
        )
        stage.client.models.set_alias(MODEL, ALIAS, version.version)
        return Registered(
            model=MODEL,
            version=version.version,
            alias=ALIAS,
            dataset=pulled.id,
            features=len(version["features"]),
            sha256=version["artifact"]["sha256"],
            size=version["artifact"]["size"],
        )

    return stage.teller.ask(Step.REGISTER, work)


def materialize(stage: Stage) -> None:
    """Fill the project's own online store up to the clock."""

    def work() -> Online:
        views = [(done.view, f"{done.filled_to:%Y-%m-%d %H:%M}") for done in stage.project.materialize()]
        return Online(tuple(views))

    stage.teller.ask(Step.MATERIALIZE, work)


def look_up(stage: Stage, registered: Registered) -> None:
    """The next flights, by model: their features, and what the model says with them."""

    def work() -> LookedUp:
        reference = f"{registered.model}@{registered.alias}"
        flights = _next_flights(stage)
        found = stage.client.online(model=reference, entities=flights.to_pylist())
        model = load(stage.client.models.download(reference, stage.folder.downloaded, overwrite=True))
        rows = found.to_arrow()
        for name in ASKED_WITH:
            rows = rows.append_column(name, flights[name])
        chances = probabilities(model, rows)
        answers = zip(flights.to_pylist(), found.to_dicts(), found.statuses(), chances, strict=True)
        told = tuple(_told(*answer) for answer in answers)
        return LookedUp(reference, ("flight", *(title for _, title in _SHOWN), "late?"), told)

    stage.teller.ask(Step.LOOK_UP, work)


def _next_flights(stage: Stage) -> pa.Table:
    """The first flights whose moment of prediction is not before the clock."""
    flights = pq.read_table(stage.folder.spine)
    return flights.filter(pc.greater_equal(flights[MOMENT], stage.scope.clock)).slice(0, _FLIGHTS)


def _told(
    flight: dict[str, Any], values: dict[str, object], statuses: dict[str, str], chance: float
) -> tuple[str, ...]:
    name = f"{flight['carrier']}{flight['flight']} {flight['origin']}-{flight['dest']}"
    return (name, *(_shown(values[column], statuses[column]) for column, _ in _SHOWN), f"{chance:.0%}")


def _shown(value: object, status: str) -> str:
    """A value, or the status that says why there is none."""
    return status if value is None else f"{value:.2f}"
