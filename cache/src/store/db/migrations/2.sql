-- From schema 1: holds are patterns, with an end and a reason.
ALTER TABLE holds RENAME TO holds_1;
CREATE TABLE holds (
    template TEXT NOT NULL,
    pattern TEXT NOT NULL,
    until INTEGER,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (template, pattern)
) STRICT, WITHOUT ROWID;
INSERT INTO holds SELECT template, package, NULL, '', 0 FROM holds_1;
DROP TABLE holds_1;
