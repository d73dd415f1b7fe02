-- Passwords with a slash in them, which were taken for a host and a path.
INSERT INTO secret (n, urls)
SELECT n, secrets_of(body) FROM event
WHERE seq = 1 AND instr(body, '@') AND secrets_of(body) IS NOT NULL
ON CONFLICT (n) DO UPDATE SET urls = json_patch(urls, excluded.urls);

UPDATE event SET body = without_secrets(body)
WHERE seq = 1 AND instr(body, '@') AND n IN (SELECT n FROM secret);
