-- Schema 2 of state.db. An older one becomes this one by the files in migrations/. Digests are 64 hexadecimal digits; times are seconds since 1970.
CREATE TABLE templates (
    name TEXT PRIMARY KEY,
    next INTEGER NOT NULL,  -- the number of the next version; numbers are never used twice
    head INTEGER            -- the version that new containers get
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
    template TEXT NOT NULL REFERENCES templates (name),
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    parent TEXT,
    created INTEGER NOT NULL,
    bad TEXT,               -- why it may not be chosen; NULL for a good one
    kept INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (template, number),
    UNIQUE (template, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_digest ON versions (digest);

CREATE TABLE tags (
    template TEXT NOT NULL,
    tag TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (template, tag),
    FOREIGN KEY (template, number) REFERENCES versions (template, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE holds (
    template TEXT NOT NULL,
    pattern TEXT NOT NULL,      -- a glob over names of packages
    until INTEGER,              -- the first second at which it is over
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,     -- 0: not known
    PRIMARY KEY (template, pattern)
) STRICT, WITHOUT ROWID;

CREATE TABLE containers (
    id TEXT PRIMARY KEY,
    template TEXT NOT NULL,
    link TEXT NOT NULL,         -- the tree it is linked to
    os_digest TEXT NOT NULL,    -- the OS version in it
    follow TEXT NOT NULL CHECK (follow IN ('head', 'pinned')),
    applications TEXT NOT NULL, -- JSON list of template names
    packages TEXT NOT NULL,     -- JSON list of package names
    first_uid INTEGER NOT NULL, -- 0: the host's own ids
    created INTEGER NOT NULL,
    generation INTEGER NOT NULL -- how often its link has changed
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX container_id_ranges ON containers (first_uid) WHERE first_uid <> 0;

CREATE TABLE ids (
    template TEXT NOT NULL,     -- the OS template
    name TEXT NOT NULL,
    uid INTEGER,
    gid INTEGER,
    PRIMARY KEY (template, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ids_by_uid ON ids (template, uid);
CREATE UNIQUE INDEX ids_by_gid ON ids (template, gid);

CREATE TABLE journal (
    container TEXT PRIMARY KEY,
    entry TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cached_trees (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    template TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
