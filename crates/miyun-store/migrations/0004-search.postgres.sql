-- Full text: words come segmented, so the vector is made of them as they are.
CREATE TABLE article_text (
    article TEXT NOT NULL,
    lang TEXT NOT NULL,
    title TEXT NOT NULL,
    plain TEXT NOT NULL,
    words TSVECTOR NOT NULL,
    PRIMARY KEY (article, lang)
);
CREATE INDEX article_text_words ON article_text USING gin (words);

CREATE FUNCTION append_only () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION append_only ();
CREATE TRIGGER figure_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON figure
FOR EACH STATEMENT EXECUTE FUNCTION append_only ();
