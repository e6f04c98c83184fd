SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late"
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
) AS visible
WHERE
  (
    "__visible_from" <= CAST($until AS TIMESTAMPTZ)
    AND "__visible_from" >= CAST($since AS TIMESTAMPTZ)
  )
  AND NOT "__removed"
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY "tail" ORDER BY "event_timestamp" DESC, "known_at" DESC) = 1
