"""Features that need the request itself, or several views at once."""

import featurestore as fs

schedule_slack = fs.OnDemandFeature(
    "schedule_slack",
    expression="scheduled_minutes - route_delays:block_minutes_mean_30d",
    inputs={"scheduled_minutes": fs.Float64},
    description="Minutes that the schedule allows beyond what this route has taken lately.",
    owner="ops-ml",
    tags=["schedule"],
)

aircraft_against_carrier = fs.OnDemandFeature(
    "aircraft_against_carrier",
    expression="aircraft_delays:late_share_7d - carrier_delays:late_share_7d",
    description="How much more often this airplane is late than its airline.",
    owner="ops-ml",
    tags=["delays"],
)
