SELECT
  "tail",
  "event_timestamp",
  "known_at",
  "delay",
  "late"
FROM (
  SELECT
    GREATEST("event_timestamp", "known_at" + INTERVAL '600' SECOND) AS "__visible_from",
    "tail",
    "event_timestamp",
    "known_at",
    "delay",
    "late"
  FROM "rows@0"
) AS visible
WHERE
  "__visible_from" <= CAST($until AS TIMESTAMPTZ)
  AND "__visible_from" >= CAST($since AS TIMESTAMPTZ)
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY "tail" ORDER BY "event_timestamp" DESC, "known_at" DESC) = 1
