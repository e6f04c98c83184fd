SELECT
  CAST("minutes" - "rows__delay" AS DOUBLE) AS "slack"
FROM "rows"
ORDER BY
  "__row"
