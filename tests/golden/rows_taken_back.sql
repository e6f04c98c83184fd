SELECT
  1
FROM (
  SELECT
    "tail",
    MAX(CASE WHEN NOT "__removed" THEN "event_timestamp" END) AS "standing",
    MAX(
      CASE
        WHEN "__removed" AND "__visible_from" > CAST($after AS TIMESTAMPTZ)
        THEN "event_timestamp"
      END
    ) AS "gone"
  FROM (
    SELECT
      "__visible_from",
      "tail",
      "event_timestamp",
      "known_at",
      "delay",
      "late",
      "__removed"
    FROM (
      SELECT
        GREATEST("event_timestamp", "known_at" + INTERVAL '600' SECOND) AS "__visible_from",
        "tail",
        "event_timestamp",
        "known_at",
        "delay",
        "late",
        "__removed"
      FROM "rows@0"
    ) AS visible
    WHERE
      "__visible_from" <= CAST($until AS TIMESTAMPTZ)
    QUALIFY
      ROW_NUMBER() OVER (PARTITION BY "tail", "event_timestamp" ORDER BY "known_at" DESC) = 1
  ) AS rows
  GROUP BY
    "tail"
) AS last
WHERE
  NOT "gone" IS NULL AND (
    "standing" IS NULL OR "standing" < "gone"
  )
LIMIT 1
