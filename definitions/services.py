"""The features that models are trained on and served from."""

import featurestore as fs
from definitions.on_demand import aircraft_against_carrier, schedule_slack
from definitions.views.aircraft import aircraft_delays, aircraft_facts
from definitions.views.carriers import carrier_delays
from definitions.views.routes import route_delays
from definitions.views.weather import weather

arrival_delay_v1 = fs.FeatureService(
    "arrival_delay_v1",
    features=[
        aircraft_delays,
        carrier_delays,
        route_delays,
        aircraft_facts,
        weather,
        # Only the airports of New York report weather here, so this is null for flights to anywhere else.
        weather.role("dest", origin="dest")["wind_kmh", "visibility_km"],
        schedule_slack,
        aircraft_against_carrier,
    ],
    description="Will this flight arrive more than 15 minutes late? Asked two hours before its scheduled departure.",
    owner="ops-ml",
    tags=["tier-1"],
)
