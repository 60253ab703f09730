-- Full text: words come segmented, so the tokenizer only splits at blanks.
CREATE TABLE article_text (
    article TEXT NOT NULL,
    lang TEXT NOT NULL,
    title TEXT NOT NULL,
    plain TEXT NOT NULL,
    PRIMARY KEY (article, lang)
);
CREATE VIRTUAL TABLE article_words USING fts5 (
    title, body, article UNINDEXED, lang UNINDEXED, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'audit is append-only'); END;
CREATE TRIGGER figure_no_update BEFORE UPDATE ON figure
BEGIN SELECT RAISE (ABORT, 'published figures are append-only'); END;
CREATE TRIGGER figure_no_delete BEFORE DELETE ON figure
BEGIN SELECT RAISE (ABORT, 'published figures are append-only'); END;
