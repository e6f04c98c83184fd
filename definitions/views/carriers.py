"""What is known about an airline."""

import featurestore as fs
from definitions.entities import carrier
from definitions.sources import flights

WINDOWS = ["1d", "7d", "30d"]

carrier_delays = fs.FeatureView(
    "carrier_delays",
    entity=carrier,
    source=flights,
    every="1h",
    features=[
        fs.Aggregate("*", fs.count, windows=WINDOWS, name="landings", description="Flights landed."),
        fs.Aggregate("arr_delay", fs.mean, windows=WINDOWS, description="Minutes late on arrival, on average."),
        fs.Aggregate("arr_delay", fs.max, windows=WINDOWS, description="Minutes late on arrival, at worst."),
        fs.Aggregate(
            "arr_delay > 15", fs.mean, windows=WINDOWS, name="late_share", description="Share over 15 minutes late."
        ),
    ],
    description="How late this airline has been out of New York.",
    owner="ops-ml",
    tags=["tier-1", "delays"],
)
