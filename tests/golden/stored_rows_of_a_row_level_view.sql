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
    CASE
      WHEN "known_at" < CAST('0001-01-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
      OR "known_at" > CAST('9999-12-31 23:59:59.999999+00:00' AS TIMESTAMPTZ)
      THEN ERROR(
        CONCAT(
          '''known_at'' of view ''rows'' holds ',
          CAST("known_at" AS TEXT),
          ', which is in no year from 1 to 9999: correct it, leave the row out, or make it null'
        )
      )
      ELSE "known_at"
    END AS "known_at",
    CAST("tail" AS TEXT) AS "tail",
    "delay",
    "late"
  FROM "__source_rows"
  WHERE
    "event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
    AND "event_timestamp" < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
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
