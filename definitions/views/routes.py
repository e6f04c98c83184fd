"""What is known about a route."""

import featurestore as fs
from definitions.entities import route
from definitions.sources import flights

WINDOWS = ["1d", "7d", "30d"]

route_delays = fs.FeatureView(
    "route_delays",
    entity=route,
    source=flights,
    every="1h",
    features=[
        fs.Aggregate("*", fs.count, windows=WINDOWS, name="landings", description="Flights landed."),
        fs.Aggregate("arr_delay", fs.mean, windows=WINDOWS, description="Minutes late on arrival, on average."),
        fs.Aggregate("arr_delay", fs.max, windows=WINDOWS, description="Minutes late on arrival, at worst."),
        fs.Aggregate(
            "arr_delay > 15", fs.mean, windows=WINDOWS, name="late_share", description="Share over 15 minutes late."
        ),
        fs.Aggregate("block_minutes", fs.mean, windows=WINDOWS, description="Minutes from departure to arrival."),
    ],
    description="How late flights on this route have been, and how long they take.",
    owner="ops-ml",
    tags=["tier-1", "delays"],
)
