WITH "rows:windows" AS (
  SELECT
    "asked"."__row",
    "value"."seats_max_7d" AS "windows__seats_max_7d"
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
        MAX("tile"."__input_1_max") FILTER(WHERE
          "tile"."event_hop" >= (
            "point"."__hop" - 168
          )) AS "__input_1_max_over_168"
      FROM "points" AS "point"
      JOIN "windows@00000000" AS "tile"
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
    ), "timeline" AS (
      SELECT
        "tail",
        "event_hop" AS "__hop",
        "__input_1_max",
        FALSE AS "__is_point"
      FROM "windows@00000000"
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
      CAST("__input_1_max_over_168" AS INT) AS "seats_max_7d"
    FROM (
      SELECT
        "at"."tail",
        "at"."__hop",
        GREATEST("framed"."__input_1_max_over_168", "late"."__input_1_max_over_168") AS "__input_1_max_over_168"
      FROM "points" AS "at"
      LEFT JOIN "framed"
        ON "at"."tail" = "framed"."tail" AND "at"."__hop" = "framed"."__hop"
      LEFT JOIN "late_tiles" AS "late"
        ON "at"."tail" = "late"."tail" AND "at"."__hop" = "late"."__hop"
    ) AS merged
  ) AS value
    ON "asked"."tail" = "value"."tail" AND "asked"."__hop" = "value"."__hop"
), "all rows" AS (
  SELECT
    "spine"."__row",
    "rows:windows"."windows__seats_max_7d"
  FROM "spine"
  LEFT JOIN "rows:windows"
    ON "spine"."__row" = "rows:windows"."__row"
)
SELECT
  "__row",
  "windows__seats_max_7d"
FROM "all rows"
ORDER BY
  "__row"
