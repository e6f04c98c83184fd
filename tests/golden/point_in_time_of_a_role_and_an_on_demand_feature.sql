WITH "rows:next_rows" AS (
  SELECT
    "spine"."__row",
    CASE
      WHEN "row"."event_timestamp" > (
        "spine"."__moment" - INTERVAL '21600' SECOND
      )
      THEN "row"."late"
    END AS "next_rows__late"
  FROM "spine"
  ASOF LEFT JOIN (
    SELECT
      "tail",
      "__visible_from",
      "event_timestamp",
      "late"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "tail",
          GREATEST("event_timestamp", "known_at" + INTERVAL '600' SECOND) AS "__visible_from",
          "event_timestamp",
          "known_at",
          "late"
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
    ON "spine"."next_tail" = "row"."tail"
    AND "spine"."__moment" >= "row"."__visible_from"
), "rows:rows" AS (
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
    "spine"."minutes",
    "rows:next_rows"."next_rows__late",
    "rows:rows"."rows__delay"
  FROM "spine"
  LEFT JOIN "rows:next_rows"
    ON "spine"."__row" = "rows:next_rows"."__row"
  LEFT JOIN "rows:rows"
    ON "spine"."__row" = "rows:rows"."__row"
)
SELECT
  "__row",
  "next_rows__late",
  CAST("minutes" - "rows__delay" AS DOUBLE) AS "slack"
FROM "all rows"
ORDER BY
  "__row"
