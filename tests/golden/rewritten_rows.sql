SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late",
  CAST("event_timestamp" AS DATE) AS "event_day"
FROM (
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late"
  FROM "held"
  UNION ALL
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late"
  FROM "added"
) AS "both"
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY "tail", "event_timestamp", "known_at"
    ORDER BY "delay" DESC, "late" DESC, SIGNBIT("delay")
  ) = 1
ORDER BY
  "tail",
  "event_timestamp",
  "known_at"
