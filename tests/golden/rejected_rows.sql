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
  COUNT_IF("event_timestamp" IS NULL) AS "no_event_timestamp",
  COUNT_IF("known_at" IS NULL) AS "no_known_at",
  COUNT_IF("tail" IS NULL) AS "no_key"
FROM "__source_rows"
