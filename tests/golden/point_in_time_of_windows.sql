WITH "rows:windows" AS (
  SELECT
    "asked"."__row",
    COALESCE("value"."late_1d", 0) AS "windows__late_1d",
    "value"."delay_mean_1d" AS "windows__delay_mean_1d"
  FROM (
    SELECT
      "__row",
      "tail" AS "tail",
      LEAST(
        (
          EPOCH_US((
            "__moment" - INTERVAL '600' SECOND
          )) - (
            (
              (
                EPOCH_US((
                  "__moment" - INTERVAL '600' SECOND
                )) % 3600000000
              ) + 3600000000
            ) % 3600000000
          )
        ) // 3600000000,
        379103
      ) AS "__hop"
    FROM "spine"
  ) AS asked
  LEFT JOIN (
    WITH "points" AS (
      SELECT DISTINCT
        "tail",
        "__hop"
      FROM (
        SELECT
          "__row",
          "tail" AS "tail",
          LEAST(
            (
              EPOCH_US((
                "__moment" - INTERVAL '600' SECOND
              )) - (
                (
                  (
                    EPOCH_US((
                      "__moment" - INTERVAL '600' SECOND
                    )) % 3600000000
                  ) + 3600000000
                ) % 3600000000
              )
            ) // 3600000000,
            379103
          ) AS "__hop"
        FROM "spine"
      ) AS asked
      WHERE
        NOT "__hop" IS NULL AND NOT "tail" IS NULL
    ), "late_tiles" AS (
      SELECT
        "point"."tail",
        "point"."__hop",
        SUM("tile"."__input_2_count") FILTER(WHERE
          "tile"."event_hop" >= (
            "point"."__hop" - 24
          )) AS "__input_2_count_over_24",
        SUM("tile"."__input_0_count") FILTER(WHERE
          "tile"."event_hop" >= (
            "point"."__hop" - 24
          )) AS "__input_0_count_over_24",
        SUM(CAST("tile"."__input_0_sum" AS INT128)) FILTER(WHERE
          "tile"."event_hop" >= (
            "point"."__hop" - 24
          )) AS "__input_0_sum_over_24",
        SUM(CAST("tile"."__input_0_special" AS INT128)) FILTER(WHERE
          "tile"."event_hop" >= (
            "point"."__hop" - 24
          )) AS "__input_0_special_over_24"
      FROM "points" AS "point"
      JOIN "windows@00000000" AS "tile"
        ON "point"."tail" = "tile"."tail"
        AND "tile"."known_hop" > (
          "tile"."event_hop" + 1
        )
        AND "tile"."known_hop" <= "point"."__hop"
        AND "tile"."event_hop" < "point"."__hop"
        AND "tile"."event_hop" >= (
          "point"."__hop" - 24
        )
      GROUP BY
        "point"."tail",
        "point"."__hop"
    ), "running" AS (
      SELECT
        "tail",
        "event_hop",
        SUM("__input_2_count") OVER (
          PARTITION BY "tail"
          ORDER BY "event_hop"
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS "__input_2_count",
        SUM("__input_0_count") OVER (
          PARTITION BY "tail"
          ORDER BY "event_hop"
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS "__input_0_count",
        SUM(CAST("__input_0_sum" AS INT128)) OVER (
          PARTITION BY "tail"
          ORDER BY "event_hop"
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS "__input_0_sum",
        SUM(CAST("__input_0_special" AS INT128)) OVER (
          PARTITION BY "tail"
          ORDER BY "event_hop"
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS "__input_0_special"
      FROM "windows@00000000"
      WHERE
        "known_hop" = (
          "event_hop" + 1
        )
    )
    SELECT
      "tail",
      "__hop",
      CAST(COALESCE(CAST("__input_2_count_over_24" AS BIGINT), 0) AS BIGINT) AS "late_1d",
      CAST(CASE
        WHEN (
          "__input_0_count_over_24"
        ) > 0
        THEN CASE
          WHEN COALESCE("__input_0_special_over_24", 0) = 0
          THEN (
            CASE
              WHEN COALESCE("__input_0_sum_over_24", CAST(0 AS INT128)) BETWEEN -81129638414606681695789005144064 AND 81129638414606681695789005144064
              THEN CAST((
                COALESCE("__input_0_sum_over_24", CAST(0 AS INT128)) >> 53
              ) AS DOUBLE) * CAST(9007199254740992 AS DOUBLE) + CAST((
                COALESCE("__input_0_sum_over_24", CAST(0 AS INT128)) & CAST(9007199254740991 AS INT128)
              ) AS DOUBLE)
              ELSE CAST(CAST(COALESCE("__input_0_sum_over_24", CAST(0 AS INT128)) AS TEXT) AS DOUBLE)
            END
          ) / CAST(1152921504606846976 AS DOUBLE)
          WHEN (
            "__input_0_special_over_24" // 1208925819614629174706176
          ) > 0
          OR (
            (
              (
                "__input_0_special_over_24" // 1099511627776
              ) % 1099511627776
            ) > 0
            AND (
              "__input_0_special_over_24" % 1099511627776
            ) > 0
          )
          THEN CAST('nan' AS DOUBLE)
          WHEN (
            (
              "__input_0_special_over_24" // 1099511627776
            ) % 1099511627776
          ) > 0
          THEN CAST('inf' AS DOUBLE)
          ELSE CAST('-inf' AS DOUBLE)
        END / CAST("__input_0_count_over_24" AS DOUBLE)
      END AS DOUBLE) AS "delay_mean_1d"
    FROM (
      SELECT
        "at"."tail",
        "at"."__hop",
        COALESCE("before_0"."__input_2_count", 0) - COALESCE("before_24"."__input_2_count", 0) + COALESCE("late"."__input_2_count_over_24", 0) AS "__input_2_count_over_24",
        COALESCE("before_0"."__input_0_count", 0) - COALESCE("before_24"."__input_0_count", 0) + COALESCE("late"."__input_0_count_over_24", 0) AS "__input_0_count_over_24",
        COALESCE("before_0"."__input_0_sum", 0) - COALESCE("before_24"."__input_0_sum", 0) + COALESCE("late"."__input_0_sum_over_24", 0) AS "__input_0_sum_over_24",
        COALESCE("before_0"."__input_0_special", 0) - COALESCE("before_24"."__input_0_special", 0) + COALESCE("late"."__input_0_special_over_24", 0) AS "__input_0_special_over_24"
      FROM "points" AS "at"
      ASOF LEFT JOIN "running" AS "before_0"
        ON "at"."tail" = "before_0"."tail"
        AND (
          "at"."__hop" - 0
        ) > "before_0"."event_hop"
      ASOF LEFT JOIN "running" AS "before_24"
        ON "at"."tail" = "before_24"."tail"
        AND (
          "at"."__hop" - 24
        ) > "before_24"."event_hop"
      LEFT JOIN "late_tiles" AS "late"
        ON "at"."tail" = "late"."tail" AND "at"."__hop" = "late"."__hop"
    ) AS merged
  ) AS value
    ON "asked"."tail" = "value"."tail" AND "asked"."__hop" = "value"."__hop"
), "all rows" AS (
  SELECT
    "spine"."__row",
    "rows:windows"."windows__late_1d",
    "rows:windows"."windows__delay_mean_1d"
  FROM "spine"
  LEFT JOIN "rows:windows"
    ON "spine"."__row" = "rows:windows"."__row"
)
SELECT
  "__row",
  "windows__late_1d",
  "windows__delay_mean_1d"
FROM "all rows"
ORDER BY
  "__row"
