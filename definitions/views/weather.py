"""What the weather was, at either end of a route."""

import featurestore as fs
from definitions.entities import airport

# The file holds one wind of 1,048 miles per hour. What can not have been is taken as not observed.
weather = fs.FeatureView(
    "weather",
    entity=airport,
    sql="""
        SELECT
            origin,
            observed_at AS event_timestamp,
            (temp - 32) / 1.8 AS temperature_c,
            CASE WHEN wind_speed < 260 THEN wind_speed * 1.609344 END AS wind_kmh,
            visib * 1.609344 AS visibility_km,
            precip * 25.4 AS rain_mm,
            pressure AS pressure_hpa
        FROM weather_hourly
    """,
    ttl="6h",
    description="The latest published observation at an airport, in metric units.",
    owner="network-data",
    tags=["weather"],
)
