SELECT
  "tail",
  MAKE_TIMESTAMPTZ("__hop" * 3600000000) AS "event_timestamp",
  MAKE_TIMESTAMPTZ("__hop" * 3600000000) AS "known_at",
  "delay_mean_1d",
  "late_1d",
  "seats_max_7d"
FROM (
  WITH "points" AS (
    SELECT DISTINCT
      "tail",
      CAST($until AS BIGINT) AS "__hop"
    FROM "windows@0"
    WHERE
      "known_hop" <= CAST($until AS BIGINT)
      AND "event_hop" >= (
        CAST($until AS BIGINT) - 168
      )
  ), "late_tiles" AS (
    SELECT
      "point"."tail",
      "point"."__hop",
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
        )) AS "__input_0_special_over_24",
      SUM("tile"."__input_2_count") FILTER(WHERE
        "tile"."event_hop" >= (
          "point"."__hop" - 24
        )) AS "__input_2_count_over_24",
      MAX("tile"."__input_1_max") FILTER(WHERE
        "tile"."event_hop" >= (
          "point"."__hop" - 168
        )) AS "__input_1_max_over_168"
    FROM "points" AS "point"
    JOIN "windows@0" AS "tile"
      ON "point"."tail" = "tile"."tail"
      AND "tile"."known_hop" > (
        "tile"."event_hop" + 1
      )
      AND "tile"."known_hop" <= "point"."__hop"
      AND "tile"."event_hop" < "point"."__hop"
      AND "tile"."event_hop" >= (
        "point"."__hop" - 168
      )
    GROUP BY
      "point"."tail",
      "point"."__hop"
  ), "running" AS (
    SELECT
      "tail",
      "event_hop",
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
      ) AS "__input_0_special",
      SUM("__input_2_count") OVER (
        PARTITION BY "tail"
        ORDER BY "event_hop"
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "__input_2_count"
    FROM "windows@0"
    WHERE
      "known_hop" = (
        "event_hop" + 1
      )
  ), "timeline" AS (
    SELECT
      "tail",
      "event_hop" AS "__hop",
      "__input_1_max",
      FALSE AS "__is_point"
    FROM "windows@0"
    WHERE
      "known_hop" = (
        "event_hop" + 1
      )
    UNION ALL
    SELECT
      "tail",
      "__hop",
      NULL AS "__input_1_max",
      TRUE AS "__is_point"
    FROM "points"
  ), "framed" AS (
    SELECT
      *
    FROM (
      SELECT
        "tail",
        "__hop",
        "__is_point",
        MAX("__input_1_max") OVER (PARTITION BY "tail" ORDER BY "__hop" RANGE BETWEEN 168 PRECEDING AND 1 PRECEDING) AS "__input_1_max_over_168"
      FROM "timeline"
    ) AS placed
    WHERE
      "__is_point"
  )
  SELECT
    "tail",
    "__hop",
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
    END AS DOUBLE) AS "delay_mean_1d",
    CAST(COALESCE(CAST("__input_2_count_over_24" AS BIGINT), 0) AS BIGINT) AS "late_1d",
    CAST("__input_1_max_over_168" AS INT) AS "seats_max_7d"
  FROM (
    SELECT
      "at"."tail",
      "at"."__hop",
      COALESCE("before_0"."__input_0_count", 0) - COALESCE("before_24"."__input_0_count", 0) + COALESCE("late"."__input_0_count_over_24", 0) AS "__input_0_count_over_24",
      COALESCE("before_0"."__input_0_sum", 0) - COALESCE("before_24"."__input_0_sum", 0) + COALESCE("late"."__input_0_sum_over_24", 0) AS "__input_0_sum_over_24",
      COALESCE("before_0"."__input_0_special", 0) - COALESCE("before_24"."__input_0_special", 0) + COALESCE("late"."__input_0_special_over_24", 0) AS "__input_0_special_over_24",
      COALESCE("before_0"."__input_2_count", 0) - COALESCE("before_24"."__input_2_count", 0) + COALESCE("late"."__input_2_count_over_24", 0) AS "__input_2_count_over_24",
      GREATEST("framed"."__input_1_max_over_168", "late"."__input_1_max_over_168") AS "__input_1_max_over_168"
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
    LEFT JOIN "framed"
      ON "at"."tail" = "framed"."tail" AND "at"."__hop" = "framed"."__hop"
    LEFT JOIN "late_tiles" AS "late"
      ON "at"."tail" = "late"."tail" AND "at"."__hop" = "late"."__hop"
  ) AS merged
) AS value
