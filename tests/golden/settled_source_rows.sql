WITH "arrived_rows" AS (
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    CAST("event_timestamp" AS DATE) AS "event_day"
  FROM (
    WITH "__source_rows" AS (
      SELECT
        "flights"."delay" AS "delay",
        CAST("flights"."landed" AS TIMESTAMPTZ) AS "event_timestamp",
        CAST("flights"."loaded" AS TIMESTAMPTZ) AS "known_at",
        "flights"."delay" > 15 AS "late",
        "flights"."tail" AS "tail"
      FROM "flights" AS "flights"
    )
    SELECT
      "event_timestamp",
      "known_at",
      "tail",
      "delay",
      "late"
    FROM "__source_rows"
    WHERE
      "event_timestamp" >= CAST('0001-01-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
      AND "event_timestamp" < CAST('9999-12-31 23:59:59.999999+00:00' AS TIMESTAMPTZ)
      AND NOT "known_at" IS NULL
      AND NOT "tail" IS NULL
  ) AS inside
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY "tail", "event_timestamp", "known_at"
      ORDER BY "delay" DESC, "late" DESC, SIGNBIT("delay")
    ) = 1
  ORDER BY
    "tail",
    "event_timestamp",
    "known_at"
)
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
  FROM "arrived_rows"
  UNION ALL
  SELECT
    "standing_rows"."tail",
    "standing_rows"."event_timestamp",
    "standing_rows"."known_at",
    "standing_rows"."delay",
    "standing_rows"."late",
    0 AS "__arrived"
  FROM "rows@0" AS "standing_rows"
  WHERE
    EXISTS(
      SELECT
        1
      FROM "arrived_rows"
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
