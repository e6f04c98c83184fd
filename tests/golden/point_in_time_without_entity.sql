WITH "rows:everyone" AS (
  SELECT
    "spine"."__row",
    CASE WHEN NOT "row"."event_timestamp" IS NULL THEN "row"."delay" END AS "everyone__delay"
  FROM "spine"
  ASOF LEFT JOIN (
    SELECT
      "__visible_from",
      "event_timestamp",
      "delay"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          GREATEST("event_timestamp", "known_at") AS "__visible_from",
          "event_timestamp",
          "known_at",
          "delay"
        FROM "everyone@00000000"
      ) AS visible
      QUALIFY
        ROW_NUMBER() OVER (PARTITION BY "__visible_from" ORDER BY "event_timestamp" DESC, "known_at" DESC) = 1
    ) AS single
    QUALIFY
      COALESCE(
        ROW("event_timestamp", "known_at") > MAX(ROW("event_timestamp", "known_at")) OVER (ORDER BY "__visible_from" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
        TRUE
      )
  ) AS row
    ON "spine"."__moment" >= "row"."__visible_from"
), "all rows" AS (
  SELECT
    "spine"."__row",
    "rows:everyone"."everyone__delay"
  FROM "spine"
  LEFT JOIN "rows:everyone"
    ON "spine"."__row" = "rows:everyone"."__row"
)
SELECT
  "__row",
  "everyone__delay"
FROM "all rows"
ORDER BY
  "__row"
