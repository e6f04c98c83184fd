SELECT
  "event_hop",
  "known_hop",
  "__input_0_count",
  "__input_0_sum",
  "__input_0_special",
  "__input_0_min",
  "__input_0_squares_192",
  "__input_0_squares_144",
  "__input_0_squares_96",
  "__input_0_squares_48",
  "__input_0_squares_0",
  "__input_0_first_at",
  "__input_0_first_known",
  "__input_0_first",
  "__input_0_last_at",
  "__input_0_last_known",
  "__input_0_last",
  "__input_0_distinct",
  "__input_0_values",
  CAST(MAKE_TIMESTAMPTZ("event_hop" * 86400000000) AS DATE) AS "event_day"
FROM (
  SELECT
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
    MIN("__input_0" + CAST(0 AS REAL)) AS "__input_0_min",
    CAST(SUM(
      (
        (
          CASE
            WHEN ISFINITE("__input_0")
            THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
          END
        ) >> 96
      ) * (
        (
          CASE
            WHEN ISFINITE("__input_0")
            THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
          END
        ) >> 96
      )
    ) AS DECIMAL(38, 0)) AS "__input_0_squares_192",
    CAST(SUM(
      (
        (
          CASE
            WHEN ISFINITE("__input_0")
            THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
          END
        ) >> 96
      ) * (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 48
        ) & CAST(281474976710655 AS INT128)
      ) * 2
    ) AS DECIMAL(38, 0)) AS "__input_0_squares_144",
    CAST(SUM(
      (
        (
          CASE
            WHEN ISFINITE("__input_0")
            THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
          END
        ) >> 96
      ) * (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 0
        ) & CAST(281474976710655 AS INT128)
      ) * 2 + (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 48
        ) & CAST(281474976710655 AS INT128)
      ) * (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 48
        ) & CAST(281474976710655 AS INT128)
      )
    ) AS DECIMAL(38, 0)) AS "__input_0_squares_96",
    CAST(SUM(
      (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 48
        ) & CAST(281474976710655 AS INT128)
      ) * (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 0
        ) & CAST(281474976710655 AS INT128)
      ) * 2
    ) AS DECIMAL(38, 0)) AS "__input_0_squares_48",
    CAST(SUM(
      (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 0
        ) & CAST(281474976710655 AS INT128)
      ) * (
        (
          (
            CASE
              WHEN ISFINITE("__input_0")
              THEN CAST(ROUND(CAST("__input_0" AS DOUBLE) * CAST(1152921504606846976 AS DOUBLE)) AS INT128)
            END
          ) >> 0
        ) & CAST(281474976710655 AS INT128)
      )
    ) AS DECIMAL(38, 0)) AS "__input_0_squares_0",
    LIST_EXTRACT(
      LIST(
        "event_timestamp" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      1
    ) AS "__input_0_first_at",
    LIST_EXTRACT(
      LIST(
        "known_at" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      1
    ) AS "__input_0_first_known",
    LIST_EXTRACT(
      LIST(
        "__input_0" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      1
    ) AS "__input_0_first",
    LIST_EXTRACT(
      LIST(
        "event_timestamp" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      -1
    ) AS "__input_0_last_at",
    LIST_EXTRACT(
      LIST(
        "known_at" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      -1
    ) AS "__input_0_last_known",
    LIST_EXTRACT(
      LIST(
        "__input_0" ORDER BY "event_timestamp", "known_at", "__input_0", NOT SIGNBIT("__input_0")
      ) FILTER(WHERE
        NOT "__input_0" IS NULL),
      -1
    ) AS "__input_0_last",
    LIST_SORT(
      LIST(DISTINCT "__input_0" + CAST(0 AS REAL)) FILTER(WHERE
        NOT "__input_0" IS NULL)
    ) AS "__input_0_distinct",
    LIST_SORT(
      LIST(CAST("__input_0" + CAST(0 AS REAL) AS DOUBLE)) FILTER(WHERE
        NOT "__input_0" IS NULL)
    ) AS "__input_0_values"
  FROM (
    SELECT
      (
        EPOCH_US("event_timestamp") - (
          (
            (
              EPOCH_US("event_timestamp") % 86400000000
            ) + 86400000000
          ) % 86400000000
        )
      ) // 86400000000 AS "event_hop",
      GREATEST(
        (
          EPOCH_US("event_timestamp") - (
            (
              (
                EPOCH_US("event_timestamp") % 86400000000
              ) + 86400000000
            ) % 86400000000
          )
        ) // 86400000000 + 1,
        (
          EPOCH_US((
            "known_at" - INTERVAL '1' MICROSECOND
          )) - (
            (
              (
                EPOCH_US((
                  "known_at" - INTERVAL '1' MICROSECOND
                )) % 86400000000
              ) + 86400000000
            ) % 86400000000
          )
        ) // 86400000000 + 1
      ) AS "known_hop",
      "__input_0",
      "event_timestamp",
      "known_at"
    FROM (
      WITH "__source_rows" AS (
        SELECT
          "flights"."delay" AS "__input_0",
          CAST("flights"."landed" AS TIMESTAMPTZ) AS "event_timestamp",
          CAST("flights"."loaded" AS TIMESTAMPTZ) AS "known_at"
        FROM "flights" AS "flights"
      )
      SELECT
        "event_timestamp",
        CASE
          WHEN "known_at" < CAST('0001-01-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
          OR "known_at" > CAST('9999-12-31 23:59:59.999999+00:00' AS TIMESTAMPTZ)
          THEN ERROR(
            CONCAT(
              '''known_at'' of view ''aggregates'' holds ',
              CAST("known_at" AS TEXT),
              ', which is in no year from 1 to 9999: correct it, leave the row out, or make it null'
            )
          )
          ELSE "known_at"
        END AS "known_at",
        "__input_0"
      FROM "__source_rows"
      WHERE
        "event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        AND "event_timestamp" < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        AND NOT "known_at" IS NULL
    ) AS inside
  ) AS placed
  GROUP BY
    "event_hop",
    "known_hop"
) AS made
