-- Lists, facets and search as known at any moment: every published version, from when it was shown until
-- the next one was. Made again from article_version when the store is opened and nothing is here.
DROP TABLE article_current;
DROP TABLE article_facet;
DROP TABLE article_link;
DROP TABLE article_text;
DROP TABLE article_words;
CREATE TABLE article_shown (
    article TEXT NOT NULL REFERENCES article (id),
    version BIGINT NOT NULL,
    released_at TEXT NOT NULL,
    shown_from TEXT NOT NULL,
    shown_until TEXT,
    PRIMARY KEY (article, version)
);
CREATE TABLE article_facet (
    article TEXT NOT NULL,
    version BIGINT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    also TEXT NOT NULL,
    PRIMARY KEY (article, version, kind, value)
);
CREATE INDEX article_facet_value ON article_facet (kind, value);
CREATE TABLE article_link (
    article TEXT NOT NULL,
    version BIGINT NOT NULL,
    anchor TEXT NOT NULL,
    measure TEXT NOT NULL,
    PRIMARY KEY (article, version, anchor, measure)
);
CREATE INDEX article_link_measure ON article_link (measure);
CREATE TABLE article_text (
    article TEXT NOT NULL,
    version BIGINT NOT NULL,
    lang TEXT NOT NULL,
    title TEXT NOT NULL,
    plain TEXT NOT NULL,
    PRIMARY KEY (article, version, lang)
);
CREATE VIRTUAL TABLE article_words USING fts5 (
    title, body, article UNINDEXED, version UNINDEXED, lang UNINDEXED, tokenize = 'unicode61 remove_diacritics 2'
);
