-- Made for the connection that writes: who inserts into this view makes all the rows of a new task, so
-- that many tasks are one statement. Where anything is not as expected the statement fails as a
-- whole. Without `taken`, the event of its acceptance, or `work` there is none; a row of nothing but
-- NULL does nothing.
CREATE TEMP VIEW deed (
  id, owner, queue, state, active, name, progress, body, taken, tags, work, key, at, forget
) AS
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL;

CREATE TEMP TRIGGER arrive INSTEAD OF INSERT ON deed WHEN new.id IS NOT NULL
BEGIN
  INSERT INTO task (id, owner, queue, state, active, name, progress)
  VALUES (new.id, new.owner, new.queue, new.state, new.active, new.name, new.progress);
  -- The next two have no rowid, so that the last one is still that of the task.
  INSERT INTO tag (key, value, n) SELECT key, value, last_insert_rowid() FROM json_each(new.tags);
  INSERT INTO tag_key (key, n) SELECT key, last_insert_rowid() FROM json_each(new.tags);
  INSERT INTO event (n, seq, body) VALUES (last_insert_rowid(), 1, new.body);
  INSERT INTO event (n, seq, body) SELECT n, 2, new.taken FROM event
  WHERE position = last_insert_rowid() AND new.taken IS NOT NULL;
  INSERT INTO outbox (queue, due, work)
  SELECT new.queue, new.at, new.work WHERE new.work IS NOT NULL;
  INSERT INTO idempotency (owner, key, task_id, at)
  SELECT new.owner, new.key, new.id, new.at WHERE new.key <> '';
  DELETE FROM idempotency WHERE new.key <> '' AND (owner, key) IN (
    SELECT owner, key FROM idempotency WHERE at <= new.forget ORDER BY at LIMIT 100
  );
END;
