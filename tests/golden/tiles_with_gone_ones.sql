WITH "gone_rows" AS (
  SELECT
    "had"."tail",
    "had"."event_hop",
    "had"."known_hop",
    "had"."__input_0_count",
    "had"."__input_0_sum",
    "had"."__input_0_special",
    "had"."__input_1_max",
    "had"."__input_2_count",
    CAST(MAKE_TIMESTAMPTZ("had"."event_hop" * 3600000000) AS DATE) AS "event_day"
  FROM "held" AS "had"
  LEFT JOIN "filled" AS "has"
    ON "has"."tail" = "had"."tail"
    AND "has"."event_hop" = "had"."event_hop"
    AND "has"."known_hop" = "had"."known_hop"
  WHERE
    (
      MAKE_TIMESTAMPTZ("had"."event_hop" * 3600000000) >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
      AND MAKE_TIMESTAMPTZ("had"."event_hop" * 3600000000) < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
    )
    AND (
      "has"."known_hop" IS NULL
      OR COALESCE((
        "has"."__input_0_count" < "had"."__input_0_count"
      ), FALSE)
      OR COALESCE((
        "has"."__input_2_count" < "had"."__input_2_count"
      ), FALSE)
      OR COALESCE(
        (
          CAST(MAKE_TIMESTAMPTZ("had"."event_hop" * 3600000000) AS DATE) IN (CAST('2013-03-01' AS DATE))
          AND COALESCE(
            (
              NOT "had"."__input_1_max" IS NULL
              AND (
                "has"."__input_1_max" IS NULL OR "has"."__input_1_max" < "had"."__input_1_max"
              )
            ),
            FALSE
          )
        ),
        FALSE
      )
    )
)
SELECT
  "tail",
  "event_hop",
  "known_hop",
  "__input_0_count",
  "__input_0_sum",
  "__input_0_special",
  "__input_1_max",
  "__input_2_count",
  "event_day"
FROM (
  SELECT
    "has"."tail",
    "has"."event_hop",
    "has"."known_hop",
    "has"."__input_0_count",
    "has"."__input_0_sum",
    "has"."__input_0_special",
    "has"."__input_1_max",
    "has"."__input_2_count",
    CAST(MAKE_TIMESTAMPTZ("has"."event_hop" * 3600000000) AS DATE) AS "event_day"
  FROM "filled" AS "has"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "gone_rows"
      WHERE
        "has"."tail" = "gone_rows"."tail"
        AND "has"."event_hop" = "gone_rows"."event_hop"
        AND "has"."known_hop" = "gone_rows"."known_hop"
    )
  UNION ALL
  SELECT
    "tail",
    "event_hop",
    "known_hop",
    "__input_0_count",
    "__input_0_sum",
    "__input_0_special",
    "__input_1_max",
    "__input_2_count",
    "event_day"
  FROM "gone_rows"
) AS "both"
ORDER BY
  "tail",
  "event_hop",
  "known_hop"
