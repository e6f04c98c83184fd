"""What the features describe."""

import featurestore as fs

aircraft = fs.Entity(
    "aircraft",
    join_keys={"tailnum": fs.String},
    description="One airplane, by the number on its tail.",
    owner="fleet-data",
)

carrier = fs.Entity(
    "carrier",
    join_keys={"carrier": fs.String},
    description="An airline, by its two-character code.",
    owner="fleet-data",
)

route = fs.Entity(
    "route",
    join_keys={"origin": fs.String, "dest": fs.String},
    description="From one airport to another, in this direction.",
    owner="network-data",
)

airport = fs.Entity(
    "airport",
    join_keys={"origin": fs.String},
    description="An airport, by its three-letter code.",
    owner="network-data",
)
