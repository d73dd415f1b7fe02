-- Made for the connection that writes: who inserts into this view makes or changes all the rows
-- that a task needs, so that many tasks are one statement. Where anything is not as expected the
-- statement fails as a whole. A new task has no progress before; a row of nothing but NULL does
-- nothing.
CREATE TEMP VIEW deed (
  id, owner, queue, state, name, before, progress, seq, body, tags, work, key, at, forget
) AS
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;

CREATE TEMP TRIGGER arrive INSTEAD OF INSERT ON deed
WHEN new.id IS NOT NULL AND new.before IS NULL
BEGIN
  INSERT INTO task (id, owner, queue, state, active, name, progress)
  VALUES (new.id, new.owner, new.queue, new.state, 0, new.name, new.progress);
  -- The next two have no rowid, so that the last one is still that of the task.
  INSERT INTO tag (key, value, n) SELECT key, value, last_insert_rowid() FROM json_each(new.tags);
  INSERT INTO tag_key (key, n) SELECT key, last_insert_rowid() FROM json_each(new.tags);
  INSERT INTO event (n, seq, body) VALUES (last_insert_rowid(), 1, new.body);
  INSERT INTO outbox (queue, due, work) VALUES (new.queue, new.at, new.work);
  INSERT INTO idempotency (owner, key, task_id, at)
  SELECT new.owner, new.key, new.id, new.at WHERE new.key <> '';
  DELETE FROM idempotency WHERE new.key <> '' AND (owner, key) IN (
    SELECT owner, key FROM idempotency WHERE at <= new.forget ORDER BY at LIMIT 100
  );
END;

CREATE TEMP TRIGGER accept INSTEAD OF INSERT ON deed WHEN new.before IS NOT NULL BEGIN
  INSERT INTO event (n, seq, body) SELECT n, new.seq, new.body FROM task
  WHERE id = new.id AND state = new.state AND progress = new.before;
  SELECT raise(ABORT, 'its task has moved on, or somebody else has done this work')
  WHERE changes() = 0
    OR EXISTS (
      SELECT 1 FROM event
      WHERE n = (SELECT n FROM event WHERE position = last_insert_rowid()) AND seq > new.seq
    )
    OR NOT EXISTS (SELECT 1 FROM outbox WHERE id = new.work);
  UPDATE task SET progress = new.progress, active = 1
  WHERE n = (SELECT n FROM event WHERE position = last_insert_rowid());
  DELETE FROM outbox WHERE id = new.work;
END;
