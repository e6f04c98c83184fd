WITH "gone_rows" AS (
  SELECT
    "had"."tail",
    "had"."event_timestamp",
    "had"."known_at",
    "had"."delay",
    "had"."late",
    CAST("had"."event_timestamp" AS DATE) AS "event_day"
  FROM "held" AS "had"
  LEFT JOIN "filled" AS "has"
    ON "has"."tail" = "had"."tail"
    AND "has"."event_timestamp" = "had"."event_timestamp"
    AND "has"."known_at" = "had"."known_at"
  WHERE
    (
      "had"."event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
      AND "had"."event_timestamp" < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
    )
    AND "has"."known_at" IS NULL
)
SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late",
  "event_day"
FROM (
  SELECT
    "has"."tail",
    "has"."event_timestamp",
    "has"."known_at",
    "has"."delay",
    "has"."late",
    CAST("has"."event_timestamp" AS DATE) AS "event_day"
  FROM "filled" AS "has"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "gone_rows"
      WHERE
        "has"."tail" = "gone_rows"."tail"
        AND "has"."event_timestamp" = "gone_rows"."event_timestamp"
        AND "has"."known_at" = "gone_rows"."known_at"
    )
  UNION ALL
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    "event_day"
  FROM "gone_rows"
) AS "both"
ORDER BY
  "tail",
  "event_timestamp",
  "known_at"
