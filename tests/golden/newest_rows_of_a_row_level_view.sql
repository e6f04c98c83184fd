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
  "__visible_from" <= CAST('2013-04-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
  AND "__visible_from" >= CAST('2013-03-01 00:00:00.000000+00:00' AS TIMESTAMPTZ)
QUALIFY
  ROW_NUMBER() OVER (PARTITION BY "tail" ORDER BY "event_timestamp" DESC, "known_at" DESC) = 1
