-- When the task ended, by the clock of the database, in seconds; NULL until then.
ALTER TABLE task ADD COLUMN ended REAL;
UPDATE task SET ended = coalesce(
  CASE WHEN json_valid(progress)
    THEN (julianday(progress ->> '$.logs[#-1].end_time') - 2440587.5) * 86400.0
  END,
  CAST(strftime('%s', 'now') AS REAL)
)
WHERE state IN ('COMPLETE', 'EXECUTOR_ERROR', 'SYSTEM_ERROR', 'CANCELED');
CREATE INDEX task_by_end ON task (ended) WHERE ended IS NOT NULL;
