-- One transaction of the demo's writers: a row comes, or changes; another goes.
\set new random(1000001, 1010000)
\set old random(1000001, 1010000)
BEGIN;
INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES (:new, 1, 0, 'inserted by the demo')
  ON CONFLICT (aid) DO UPDATE SET abalance = pgbench_accounts.abalance + 1;
DELETE FROM pgbench_accounts WHERE aid = :old;
END;
