PRAGMA page_size = 4096;
CREATE TABLE item (id INTEGER PRIMARY KEY, family INTEGER, name TEXT, weight REAL);

BEGIN;
INSERT INTO item
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
SELECT i, (i * 7919) % 1009, printf('item %x %s', i * 2654435761 % 4294967296, hex(i)), i / 7.0
FROM n;
COMMIT;

CREATE INDEX item_by_family ON item (family, weight);

SELECT count(*), sum(length(name)), round(avg(weight), 6) FROM item;
SELECT family, count(*), max(weight) FROM item GROUP BY family ORDER BY family LIMIT 5;
SELECT name FROM item ORDER BY name DESC LIMIT 5;
SELECT count(DISTINCT substr(name, 6, 4)) FROM item;
SELECT a.family, count(*) FROM item a JOIN item b ON b.id = a.id + 1009
WHERE a.family = b.family GROUP BY a.family ORDER BY a.family LIMIT 5;
SELECT family, length(group_concat(name)) FROM item WHERE family < 10 GROUP BY family;
SELECT id, sum(weight) OVER (ORDER BY id ROWS 10 PRECEDING) FROM item WHERE id < 5000
ORDER BY id DESC LIMIT 3;

BEGIN;
DELETE FROM item WHERE family % 3 = 0;
UPDATE item SET name = name || ' changed' WHERE family % 5 = 0;
ROLLBACK;
DELETE FROM item WHERE family % 2 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*) FROM item;
