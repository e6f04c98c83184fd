WITH "__source_rows" AS (
  SELECT
    "base_rows"."delay" AS "delay",
    CAST("base_rows"."event_timestamp" AS TIMESTAMPTZ) AS "event_timestamp",
    CAST("base_rows"."known_at" AS TIMESTAMPTZ) AS "known_at"
  FROM (
    SELECT
      "flights"."delay" AS "delay",
      "flights"."landed" AS "event_timestamp",
      "flights"."loaded" AS "known_at"
    FROM "flights" AS "flights"
  ) AS "base_rows"
)
SELECT
  COUNT_IF("event_timestamp" IS NULL) AS "no_event_timestamp",
  COUNT_IF("known_at" IS NULL) AS "no_known_at",
  COUNT_IF(FALSE) AS "no_key"
FROM "__source_rows"
