-- name: row
SELECT id, owner, queue, state, CAST(progress AS BLOB) FROM task WHERE n = ?

-- name: events
SELECT seq, CAST(body AS BLOB) FROM event WHERE n = ? ORDER BY seq

-- name: outputs
SELECT attempt, executor, stream, start, stop, keep, CAST(text AS BLOB), typeof(text)
FROM output WHERE n = ?

-- name: set_aside
INSERT OR REPLACE INTO damaged (n, what, body) VALUES (?, ?, ?)

-- name: put_events
INSERT INTO event (n, seq, body) VALUES (?, ?, ?)
ON CONFLICT (n, seq) DO UPDATE SET body = excluded.body

-- name: drop_output
DELETE FROM output
WHERE n = ? AND attempt IS ? AND executor IS ? AND stream IS ? AND start IS ?

-- name: save
UPDATE task
SET id = :id, state = :state, active = :active, progress = :progress,
  ended = coalesce(ended, :ended)
WHERE n = :n

-- name: work
SELECT CAST(work AS BLOB) FROM outbox WHERE id = ?

-- name: drop_work
DELETE FROM outbox WHERE id = ?

-- name: number
SELECT n FROM task WHERE id = ?

-- name: waiting
SELECT n, queue, CAST(progress AS BLOB) FROM task INDEXED BY task_by_state
WHERE state = 'QUEUED' AND active = 0 AND id NOT IN (
  SELECT work ->> '$.task_id' FROM outbox WHERE json_valid(work)
)

-- name: add_work
INSERT INTO outbox (queue, due, work) VALUES (?, ?, ?)
