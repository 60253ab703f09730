-- What was published: figures, articles, pictures.

-- Valid time is the period of the figure, recorded time when it was published. A correction is a
-- later row; the older row stays.
CREATE TABLE figure (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    indicator TEXT NOT NULL,
    statistic TEXT NOT NULL,
    period TEXT NOT NULL,
    edition TEXT NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    assessment TEXT NOT NULL,
    value TEXT,
    verdict TEXT NOT NULL,
    document TEXT NOT NULL,
    published_at TEXT NOT NULL,
    published_by TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX figure_key ON figure (subject, indicator, statistic, period, edition, published_at);
CREATE INDEX figure_assessment ON figure (assessment);

CREATE TABLE media (
    id TEXT PRIMARY KEY,
    content_type TEXT NOT NULL,
    bytes BLOB NOT NULL,
    added_by TEXT NOT NULL,
    added_at TEXT NOT NULL
);

CREATE TABLE article (
    id TEXT PRIMARY KEY,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    withdrawn_at TEXT,
    withdrawn_by TEXT,
    withdrawn_reason TEXT
);

CREATE TABLE article_version (
    article TEXT NOT NULL REFERENCES article (id),
    version BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('draft', 'proposed', 'published', 'rejected')),
    content TEXT NOT NULL,
    digest TEXT NOT NULL,
    note TEXT NOT NULL,
    edited_by TEXT NOT NULL,
    edited_at TEXT NOT NULL,
    editors TEXT NOT NULL,
    proposed_by TEXT,
    proposed_at TEXT,
    decided_by TEXT,
    decided_at TEXT,
    decided_reason TEXT NOT NULL,
    PRIMARY KEY (article, version),
    CHECK (decided_by IS NULL OR (decided_by <> edited_by AND decided_by <> proposed_by))
);

-- The current published version, spread out for lists, facets and search; made again from
-- article_version whenever that changes.
CREATE TABLE article_current (
    article TEXT PRIMARY KEY REFERENCES article (id),
    version BIGINT NOT NULL,
    released_at TEXT NOT NULL
);
CREATE TABLE article_facet (
    article TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    also TEXT NOT NULL,
    PRIMARY KEY (article, kind, value)
);
CREATE INDEX article_facet_value ON article_facet (kind, value);
CREATE TABLE article_link (
    article TEXT NOT NULL,
    anchor TEXT NOT NULL,
    measure TEXT NOT NULL,
    PRIMARY KEY (article, anchor, measure)
);
CREATE INDEX article_link_measure ON article_link (measure);

CREATE TABLE article_like (
    article TEXT NOT NULL REFERENCES article (id),
    person TEXT NOT NULL REFERENCES person (id),
    at TEXT NOT NULL,
    PRIMARY KEY (article, person)
);
CREATE TABLE visitor_like (
    article TEXT NOT NULL REFERENCES article (id),
    token TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (article, token)
);
-- Rows of past days are removed: no trace of an address outlives its day.
CREATE TABLE visitor_prefix (
    article TEXT NOT NULL,
    prefix TEXT NOT NULL,
    day TEXT NOT NULL,
    likes BIGINT NOT NULL,
    PRIMARY KEY (article, prefix, day)
);

CREATE TABLE collection (
    id TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (id),
    title TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE collection_item (
    collection TEXT NOT NULL REFERENCES collection (id),
    article TEXT NOT NULL REFERENCES article (id),
    added_at TEXT NOT NULL,
    PRIMARY KEY (collection, article)
);
