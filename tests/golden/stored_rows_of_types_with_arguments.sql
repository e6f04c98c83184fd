SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "fare",
  "gates",
  "pair",
  "past",
  CAST("event_timestamp" AS DATE) AS "event_day"
FROM (
  WITH "__source_rows" AS (
    SELECT
      CAST("flights"."landed" AS TIMESTAMPTZ) AS "event_timestamp",
      "flights"."fare" AS "fare",
      ["flights"."gate"] AS "gates",
      CAST("flights"."loaded" AS TIMESTAMPTZ) AS "known_at",
      CAST(["flights"."delay", "flights"."seats"] AS REAL[2]) AS "pair",
      ["flights"."delay"] AS "past",
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
          '''known_at'' of view ''typed'' holds ',
          CAST("known_at" AS TEXT),
          ', which is in no year from 1 to 9999: correct it, leave the row out, or make it null'
        )
      )
      ELSE "known_at"
    END AS "known_at",
    CAST("tail" AS TEXT) AS "tail",
    CASE
      WHEN NOT "fare" IS NULL AND TRY_CAST("fare" AS DECIMAL(10, 2)) IS NULL
      THEN ERROR(
        CONCAT(
          '''fare'' of view ''typed'' holds ',
          CAST("fare" AS TEXT),
          ', which has no place in decimal(10, 2): CAST it to another type'
        )
      )
      ELSE TRY_CAST("fare" AS DECIMAL(10, 2))
    END AS "fare",
    CAST("gates" AS TEXT[]) AS "gates",
    CASE
      WHEN LIST_COUNT(CAST("pair" AS REAL[2])) < 2
      THEN ERROR(
        '''pair'' of view ''typed'' is an embedding with a null item: give it a number, or none of them'
      )
      ELSE CAST("pair" AS REAL[2])
    END AS "pair",
    CAST("past" AS DOUBLE[]) AS "past"
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
    ORDER BY "fare" DESC, "gates" DESC, "pair" DESC, "past" DESC, CAST("pair" AS TEXT), CAST("past" AS TEXT)
  ) = 1
ORDER BY
  "tail",
  "event_timestamp",
  "known_at"
