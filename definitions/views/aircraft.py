"""What is known about an airplane: how late it has been lately, and what it is."""

import featurestore as fs
from definitions.entities import aircraft
from definitions.sources import aircraft_register, flights

WINDOWS = ["1d", "7d", "30d"]

aircraft_delays = fs.FeatureView(
    "aircraft_delays",
    entity=aircraft,
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
    description="How late this airplane has been. Lateness travels with it from leg to leg.",
    owner="ops-ml",
    tags=["tier-1", "delays"],
)

aircraft_facts = fs.FeatureView(
    "aircraft_facts",
    entity=aircraft,
    source=aircraft_register,
    features=[
        fs.Feature("age", "2013 - manufactured", description="Years since it was built."),
        fs.Feature("seats", description="Seats on board."),
        fs.Feature("engines", description="Number of engines."),
        fs.Feature("engine", description="Kind of engine."),
    ],
    description="What the register says about an airplane.",
    owner="fleet-data",
    tags=["facts"],
)
