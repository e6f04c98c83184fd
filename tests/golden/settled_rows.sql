SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late",
  CAST("event_timestamp" AS DATE) AS "event_day",
  "__arrived",
  1 - MIN("__arrived") OVER (PARTITION BY "tail", "event_timestamp", "known_at") AS "__standing"
FROM (
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    1 AS "__arrived"
  FROM "pushed"
  UNION ALL
  SELECT
    "standing_rows"."tail",
    "standing_rows"."event_timestamp",
    "standing_rows"."known_at",
    "standing_rows"."delay",
    "standing_rows"."late",
    0 AS "__arrived"
  FROM "filled" AS "standing_rows"
  WHERE
    EXISTS(
      SELECT
        1
      FROM "pushed" AS "arrived_rows"
      WHERE
        "arrived_rows"."tail" = "standing_rows"."tail"
        AND "arrived_rows"."event_timestamp" = "standing_rows"."event_timestamp"
        AND "arrived_rows"."known_at" = "standing_rows"."known_at"
    )
) AS "both"
QUALIFY
  ROW_NUMBER() OVER (
    PARTITION BY "tail", "event_timestamp", "known_at"
    ORDER BY "delay" DESC, "late" DESC, SIGNBIT("delay"), "__arrived"
  ) = 1
ORDER BY
  "tail",
  "event_timestamp",
  "known_at"
