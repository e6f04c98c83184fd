WITH "rows:rows" AS (
  SELECT
    "spine"."__row",
    CASE
      WHEN "row"."event_timestamp" > (
        "spine"."__moment" - INTERVAL '21600' SECOND
      )
      THEN "row"."delay"
    END AS "rows__delay"
  FROM "spine"
  ASOF LEFT JOIN (
    SELECT
      "tail",
      "__visible_from",
      "event_timestamp",
      "delay"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "tail",
          GREATEST("event_timestamp", "known_at" + INTERVAL '600' SECOND) AS "__visible_from",
          "event_timestamp",
          "known_at",
          "delay"
        FROM "rows@00000000"
      ) AS visible
      QUALIFY
        ROW_NUMBER() OVER (
          PARTITION BY "tail", "__visible_from"
          ORDER BY "event_timestamp" DESC, "known_at" DESC
        ) = 1
    ) AS single
    QUALIFY
      COALESCE(
        ROW("event_timestamp", "known_at") > MAX(ROW("event_timestamp", "known_at")) OVER (
          PARTITION BY "tail"
          ORDER BY "__visible_from"
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        TRUE
      )
  ) AS row
    ON "spine"."tail" = "row"."tail" AND "spine"."__moment" >= "row"."__visible_from"
), "all rows" AS (
  SELECT
    "spine"."__row",
    "rows:rows"."rows__delay"
  FROM "spine"
  LEFT JOIN "rows:rows"
    ON "spine"."__row" = "rows:rows"."__row"
)
SELECT
  "__row",
  "rows__delay"
FROM "all rows"
ORDER BY
  "__row"
