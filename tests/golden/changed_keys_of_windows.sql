SELECT DISTINCT
  "tail",
  CAST($until AS BIGINT) AS "__hop"
FROM "windows@0"
WHERE
  (
    "known_hop" >= CAST($since AS BIGINT) AND "known_hop" <= CAST($until AS BIGINT)
  )
  OR (
    "event_hop" >= (
      CAST($since AS BIGINT) - 24
    )
    AND "event_hop" < (
      CAST($until AS BIGINT) - 24
    )
    AND "known_hop" <= CAST($until AS BIGINT)
  )
  OR (
    "event_hop" >= (
      CAST($since AS BIGINT) - 168
    )
    AND "event_hop" < (
      CAST($until AS BIGINT) - 168
    )
    AND "known_hop" <= CAST($until AS BIGINT)
  )
