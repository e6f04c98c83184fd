SELECT
  "tail",
  "event_hop",
  "known_hop",
  "__input_0_count",
  "__input_0_sum",
  "__input_0_special",
  "__input_1_max",
  "__input_2_count",
  CAST(MAKE_TIMESTAMPTZ("event_hop" * 3600000000) AS DATE) AS "event_day"
FROM (
  SELECT
    "tail",
    "event_hop",
    "known_hop",
    COUNT("__input_0") AS "__input_0_count",
    CAST(SUM(
      CASE
        WHEN ISFINITE("__input_0")
        THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
      END
    ) AS DECIMAL(38, 0)) AS "__input_0_sum",
    CAST(SUM(
      CAST(CASE
        WHEN ISNAN("__input_0")
        THEN 1208925819614629174706176
        WHEN "__input_0" = CAST('inf' AS DOUBLE)
        THEN 1099511627776
        WHEN "__input_0" = CAST('-inf' AS DOUBLE)
        THEN 1
      END AS INT128)
    ) AS DECIMAL(38, 0)) AS "__input_0_special",
    MAX("__input_1") AS "__input_1_max",
    COUNT("__input_2") AS "__input_2_count"
  FROM (
    SELECT
      "tail",
      (
        EPOCH_US("event_timestamp") - (
          (
            (
              EPOCH_US("event_timestamp") % 3600000000
            ) + 3600000000
          ) % 3600000000
        )
      ) // 3600000000 AS "event_hop",
      GREATEST(
        (
          EPOCH_US("event_timestamp") - (
            (
              (
                EPOCH_US("event_timestamp") % 3600000000
              ) + 3600000000
            ) % 3600000000
          )
        ) // 3600000000 + 1,
        (
          EPOCH_US((
            "known_at" - INTERVAL '1' MICROSECOND
          )) - (
            (
              (
                EPOCH_US((
                  "known_at" - INTERVAL '1' MICROSECOND
                )) % 3600000000
              ) + 3600000000
            ) % 3600000000
          )
        ) // 3600000000 + 1
      ) AS "known_hop",
      "__input_0",
      "__input_1",
      "__input_2"
    FROM (
      WITH "__source_rows" AS (
        SELECT
          "flights"."delay" AS "__input_0",
          "flights"."seats" AS "__input_1",
          CASE WHEN "flights"."delay" > 15 THEN TRUE END AS "__input_2",
          CAST("flights"."landed" AS TIMESTAMPTZ) AS "event_timestamp",
          CAST("flights"."loaded" AS TIMESTAMPTZ) AS "known_at",
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
              '''known_at'' of view ''windows'' holds ',
              CAST("known_at" AS TEXT),
              ', which is in no year from 1 to 9999: correct it, leave the row out, or make it null'
            )
          )
          ELSE "known_at"
        END AS "known_at",
        CAST("tail" AS TEXT) AS "tail",
        "__input_0",
        "__input_1",
        "__input_2"
      FROM "__source_rows"
      WHERE
        "event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        AND "event_timestamp" < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        AND NOT "known_at" IS NULL
        AND NOT "tail" IS NULL
    ) AS inside
  ) AS placed
  GROUP BY
    "tail",
    "event_hop",
    "known_hop"
) AS made
