-- URLs with passwords or signatures, which are hidden in the events that readers are shown.
CREATE TABLE secret (
  n INTEGER PRIMARY KEY,
  urls TEXT NOT NULL
);

INSERT INTO secret (n, urls)
SELECT n, secrets_of(body) FROM event
WHERE seq = 1 AND (instr(body, '@') OR instr(body, '?')) AND secrets_of(body) IS NOT NULL;

UPDATE event SET body = without_secrets(body)
WHERE seq = 1 AND n IN (SELECT n FROM secret);
