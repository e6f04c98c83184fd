WITH "told" AS (
  SELECT
    *,
    MAX(CASE WHEN "__is_new" = 0 THEN "known_at" END) OVER (PARTITION BY "tail", "event_timestamp") AS "__had_known",
    MAX(CASE WHEN "__is_new" = 1 THEN "known_at" END) OVER (PARTITION BY "tail", "event_timestamp") AS "__has_known",
    GREATEST(
      CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ),
      MAX(CASE WHEN "__is_new" = 0 THEN "known_at" END) OVER (PARTITION BY "tail", "event_timestamp") + INTERVAL '1' MICROSECOND
    ) AS "__latest"
  FROM (
    SELECT
      "tail",
      "event_timestamp",
      "known_at",
      "delay",
      "late",
      "__removed",
      0 AS "__is_new"
    FROM "held"
    QUALIFY
      ROW_NUMBER() OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at" DESC) = 1
    UNION ALL
    SELECT
      "tail",
      "event_timestamp",
      "known_at",
      "delay",
      "late",
      "__removed",
      1 AS "__is_new"
    FROM "filled"
  ) AS "both"
), "moved" AS (
  SELECT
    "tail",
    "event_timestamp",
    "__removed",
    "delay",
    "late",
    "__is_new",
    CASE
      WHEN "__is_new" = 0
      THEN "known_at"
      WHEN "__had_known" IS NULL
      THEN CASE
        WHEN "event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        AND "event_timestamp" < CAST('2013-03-21 00:00:00.000000+00:00' AS TIMESTAMPTZ)
        THEN GREATEST("known_at", CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ))
        ELSE "known_at"
      END
      WHEN "known_at" > "__had_known"
      THEN "known_at"
      ELSE "__latest"
    END AS "known_at"
  FROM "told"
  WHERE
    "__is_new" = 0
    OR "__had_known" IS NULL
    OR "known_at" > "__had_known"
    OR "known_at" = "__has_known"
), "gone" AS (
  SELECT
    "tail",
    "event_timestamp",
    TRUE AS "__removed",
    NULL AS "delay",
    NULL AS "late",
    1 AS "__is_new",
    "__latest" AS "known_at"
  FROM "told"
  WHERE
    "__is_new" = 0
    AND "__has_known" IS NULL
    AND NOT "__removed"
    AND "event_timestamp" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
    AND "event_timestamp" < CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
), "added" AS (
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    "__removed"
  FROM (
    SELECT
      "tail",
      "event_timestamp",
      "__removed",
      "delay",
      "late",
      "__is_new",
      "known_at"
    FROM "moved"
    UNION ALL
    SELECT
      "tail",
      "event_timestamp",
      "__removed",
      "delay",
      "late",
      "__is_new",
      "known_at"
    FROM "gone"
  ) AS chain
  QUALIFY
    "__is_new" = 1
    AND (
      LAG("__is_new") OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at") IS NULL
      OR "__removed" IS DISTINCT FROM LAG("__removed") OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at")
      OR "delay" IS DISTINCT FROM LAG("delay") OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at")
      OR "late" IS DISTINCT FROM LAG("late") OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at")
    )
)
SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late",
  "__removed",
  CAST("event_timestamp" AS DATE) AS "event_day"
FROM (
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    "__removed"
  FROM "held"
  UNION ALL
  SELECT
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late",
    "__removed"
  FROM "added"
) AS "both"
ORDER BY
  "tail",
  "event_timestamp",
  "known_at"
